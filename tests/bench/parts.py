# SPDX-License-Identifier: MIT
"""The parts of the table: each measures some lines beside each other, and compares them.

A part is a function that runs its cells and yields results. It needs no other part, so `--only` can
run it alone.
"""
import os
import statistics
from dataclasses import dataclass

import attack
from attacks import ATTACKS
from measure import Line
from programs import Attacked, Doab, DoabTwice, Echo, HAProxy, Nginx, NginxTls, Prosody, Relay

USUAL = 64  # sessions, and bytes of text
N_FEW, N_MANY = 200, 4000  # sessions, in a short run and otherwise
ROUNDS_MANY = 5  # at most, with so many sessions
N_OPENING = 16  # sessions at a time
ROUNDS_ATTACK = 5
LOADS = ('bosh', 'bosh-held', 'websocket')
SERVERS = (('doab', 'xmpp'), ('doab-tls-resumed', 'xmpp-tls'), ('doab-tls-full', 'xmpp-tls-full'))
TLS = (('', {}), (', TLS to the server', {
    'server': 'xmpp-tls'
}), (', TLS of the listener', {
    'tls': True
}))
PROXY = {'bosh': 'haproxy http', 'bosh-held': 'haproxy http', 'websocket': 'haproxy websocket'}


@dataclass
class Result:
    """A line of the table. @values are those of each round."""
    what: str
    figure: float  # None: not known, because the rounds did not count
    bound: float = None  # None: for information
    unit: str = 'x'
    values: tuple = ()
    aim: float = None  # what would be good; to miss it is no failure


def doab_line(load, name='doab', **options):
    return Line(f'{name} {load}', load, Doab, options)


def doab_lines(name='doab', **options):
    return [doab_line(load, name, **options) for load in LOADS]


def proxies():
    return [
        Line('echo', 'echo', Echo, {}),
        Line('relay', 'echo', Relay, {}),
        Line('haproxy http', 'http', HAProxy, {'role': 'http'}),
        Line('haproxy websocket', 'blind', HAProxy, {'role': 'websocket'}),
        Line('nginx http', 'http', Nginx, {}),
    ]


class Cell:
    """Lines that were measured beside each other, and what their names are short for."""
    def __init__(self, bench, part, lines, sessions=(USUAL, ), text=USUAL, rounds=None):
        self.bench, self.part, self.sessions, self.text = bench, part, sessions, text
        bench.run_cell(part, lines, sessions, text, rounds or bench.arguments.rounds)

    def key(self, name, sessions=USUAL):
        return (self.part, name, sessions, self.text)

    def ratio(self, name, base, bound=None, sessions=USUAL, what=None):
        keys = self.key(name, sessions), self.key(base, sessions)
        return Result(what or f'{name} / {base}',
                      self.bench.ratio(*keys),
                      bound,
                      values=self.bench.ratios(*keys))

    def compare_old(self, lines):
        """Each line of the program beside the same of the other program, if there is one."""
        if self.bench.arguments.beside:
            for line in lines:
                if issubclass(line.make, Doab):
                    n = self.sessions[-1]
                    what = f'{line.name}, {n} sessions, {self.text} bytes / the other build'
                    yield self.ratio(line.name, f'beside {line.name}', sessions=n, what=what)


def round_trips(bench):
    lines = proxies() + [Line(f'prosody {load}', load, Prosody, {})
                         for load in LOADS] + doab_lines()
    cell = Cell(bench, 'round-trips', lines)
    yield cell.ratio('doab bosh', 'haproxy http', 1.1)
    yield cell.ratio('doab bosh-held', 'haproxy http', 1.1)
    yield cell.ratio('doab websocket', 'haproxy websocket', 1.0)
    yield cell.ratio('doab websocket', 'relay', 1.35)
    yield from (cell.ratio(f'prosody {load}', f'doab {load}') for load in LOADS)
    yield from cell.compare_old(lines)


def growth(bench):
    """How the cost of a round trip grows with the sessions, beside that of HAProxy."""
    lines = proxies() + doab_lines()
    for n in (N_FEW, ) if bench.arguments.short else (16, 512, N_MANY):
        rounds = min(bench.arguments.rounds, ROUNDS_MANY if n == N_MANY else bench.arguments.rounds)
        cell = Cell(bench, 'growth', lines, sessions=(USUAL, n), rounds=rounds)
        if n > USUAL:
            yield from (grows(cell, load, n) for load in LOADS)
        yield from cell.compare_old(lines)


def grows(cell, load, n):
    """How much more a round trip costs with @n sessions, in parts of how much more with HAProxy."""
    pairs = [(cell.key(name, n), cell.key(name)) for name in (f'doab {load}', PROXY[load])]
    own, base = (cell.bench.ratio(*pair) for pair in pairs)
    own_values, base_values = (cell.bench.ratios(*pair, in_place=True) for pair in pairs)
    values = [a / b for a, b in zip(own_values, base_values) if a and b]
    what = f'doab {load}: {n} sessions / {USUAL}, by that of {PROXY[load]}'
    return Result(what, own and base and own / base, 1.05, values=values)


def sizes(bench):
    lines = proxies() + doab_lines()
    for text in (4096, ) if bench.arguments.short else (1024, 4096, 65536, 262144):
        cell = Cell(bench, 'sizes', lines, text=text)
        for load in LOADS:
            what = f'doab {load} / {PROXY[load]}, {text // 1024} KB'
            yield cell.ratio(f'doab {load}', PROXY[load], 1.5 if text >= 4096 else None, what=what)
        yield from cell.compare_old(lines)


def two_workers(bench):
    """Two workers beside two gateways with one worker each, in the same places: see `Doab`.

    That is what workers cost each other. The connections of each session come to one worker, or
    each request takes one of a pool: any one as a proxy does, or one to the wrong worker.
    """
    lines, pairs = [], []
    for load in LOADS:
        for pool in ('own', ) if load == 'websocket' else ('own', 'shared', 'moved'):
            what = load if pool == 'own' else f'{load} {pool}'
            # Two gateways have no wrong worker.
            own_pool = 'own' if pool == 'own' else 'shared'
            lines.append(Line(f'doab twice {what}', load, DoabTwice, {}, ('-p', own_pool)))
            lines.append(Line(f'doab-2 {what}', load, Doab, {'workers': 2}, ('-p', pool)))
            pairs.append((f'doab-2 {what}', f'doab twice {what}'))
    cell = Cell(bench, 'two-workers', lines)
    yield from (cell.ratio(*pair, 1.05) for pair in pairs)
    yield from cell.compare_old(lines)


def tls_server(bench):
    """TLS to the server: what it adds to a round trip."""
    lines = doab_lines() + doab_lines('doab-tls-server', server='xmpp-tls')
    cell = Cell(bench, 'tls-server', lines)
    yield from (cell.ratio(f'doab-tls-server {load}', f'doab {load}') for load in LOADS)
    yield from cell.compare_old(lines)


def tls_listener(bench):
    """TLS of the gateway's own, beside nginx terminating TLS and the plain hop behind it."""
    lines = doab_lines() + doab_lines('doab-tls', tls=True) + [
        Line(f'nginx-tls doab {load}', load, NginxTls, {}) for load in LOADS
    ]
    cell = Cell(bench, 'tls-listener', lines)
    for load in LOADS:
        yield cell.ratio(f'doab-tls {load}', f'doab {load}')
        yield cell.ratio(f'doab-tls {load}', f'nginx-tls doab {load}', 1.0)
    yield from cell.compare_old(lines)


def opening(bench):
    """New sessions: opened, logged in and ended. What the server resumes is TLS.

    The aim of 300 us is below what a session without TLS and a handshake of OpenSSL 3.0 take
    together; by these the second line is bounded. The rest is STARTTLS, and TLS records.
    """
    lines = []
    for load in ('bosh', 'websocket'):
        for name, server in SERVERS:
            lines.append(Line(f'{name} {load}', load, Doab, {'server': server}, ('-o', )))
    cell = Cell(bench, 'opening', lines, sessions=(N_OPENING, ))
    bare_us, _ = bench.bare()
    yield Result('a handshake of a bare client of OpenSSL, resumed', bare_us, unit='us')
    for load in ('bosh', 'websocket'):
        resumed, plain = (cell.key(f'{name} {load}', N_OPENING)
                          for name in ('doab-tls-resumed', 'doab'))
        values = bench.values(resumed)
        yield Result(f'a new session with TLS to the server, resumed, {load}',
                     bench.figure(values) if values else None, None, 'us', values, aim=300)
        pairs = zip(bench.good(resumed), bench.good(plain))
        values = [a['cpu_us'] / (b['cpu_us'] + bare_us) for a, b in pairs if a and b]
        yield Result('the same / one without TLS and the bare handshake',
                     bench.figure(values) if values else None, 1.4, values=values)
    yield from cell.compare_old(lines)


def idle(bench):
    """The memory of sessions on which nothing happens."""
    for load, bound in (('bosh-held', 6), ('websocket', 5)):
        yield idle_kb(bench, f'idle {load}', doab_line(load), bound)


def idle_kb(bench, what, line, bound=None):
    n_warm, n = (50, 200) if bench.arguments.short else (200, 2000)
    return Result(what, bench.idle_kb(line, n_warm, n), bound, 'KB')


def tls_idle(bench):
    """The memory that TLS adds to them.

    The aim of 12 KB to the server is below what OpenSSL 3.0 itself holds, which `bare` measures and
    explains; by that the second line is bounded.
    """
    _, bare_kb = bench.bare()
    yield Result('idle: a bare client of OpenSSL', bare_kb, None, 'KB')
    for load in ('bosh-held', 'websocket'):
        plain, server, own = (idle_kb(bench, f'idle {load}{what}', doab_line(load, **options))
                              for what, options in TLS)
        beside = Line(f'nginx-tls doab {load}', load, NginxTls, {})
        yield from (plain, server, own)
        adds = server.figure - plain.figure
        yield Result(f'idle {load}: TLS to the server adds', adds, None, 'KB', aim=12)
        yield Result(f'idle {load}: TLS to the server adds / a bare client', adds / bare_kb, 1.1)
        yield Result(f'idle {load}: TLS of the listener adds', own.figure - plain.figure, None,
                     'KB')
        if beside.is_possible():
            nginx = idle_kb(bench, f'idle {load}, nginx terminating TLS in front', beside)
            yield nginx
            yield Result(f'idle {load}: TLS of the listener / nginx in front',
                         own.figure / nginx.figure, 1.0)


def crowd(bench):
    n, bound = (N_FEW if bench.arguments.short else N_MANY), 1.3
    for load in ('bosh-held', 'websocket'):
        left = bench.crowd(doab_line(load), n, bound)
        yield Result(f'memory after {n} sessions of {load} / before', left, bound)


def beside(bench, name, has_limits):
    """Yields what a quiet client notices of an attack."""
    cores, rounds = os.sched_getaffinity(0), []
    program = Attacked(bench, 'attacked', has_limits)
    for _ in range(1 if bench.arguments.short else ROUNDS_ATTACK):
        try:
            # A new process: what limits let through at first must not be over in the next rounds.
            program.run()
            attack.be_quick(bench, program)
            with attack.cores_awake(bench), attack.packets_elsewhere(bench, program):
                rounds.append(attack.measure(bench, program, ATTACKS[name],
                                             bench.arguments.ms / 400))
        finally:
            program.stop()
            attack.be_usual()
            os.sched_setaffinity(0, cores)
    values = [attacked / alone for alone, attacked in rounds]
    alone, attacked = (statistics.median(figures) for figures in zip(*rounds))
    what, bound = (name, 3.0) if has_limits else (f'{name}, without limits', None)
    yield Result('p99 of a quiet client alone', alone, None, 'us')
    yield Result(f'the same beside {what}', attacked, None, 'us')
    yield Result(f'beside {what} / alone', statistics.median(values), bound, values=values)


def others(bench):
    """What a quiet client notices of another one that does its worst.

    Many short rounds: where a virtual machine stops for some milliseconds now and then, a long one
    always has a p99 of that, and most of the short ones have not.
    """
    for name, of in ATTACKS.items():
        yield from beside(bench, name, True)
        if of.is_limited and not bench.arguments.short:
            yield from beside(bench, name, False)


PARTS = {
    'round-trips': round_trips,
    'growth': growth,
    'sizes': sizes,
    'two-workers': two_workers,
    'tls-server': tls_server,
    'tls-listener': tls_listener,
    'opening': opening,
    'idle': idle,
    'tls-idle': tls_idle,
    'crowd': crowd,
    'others': others,
}
