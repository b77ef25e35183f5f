# SPDX-License-Identifier: MIT
"""Lets programs take turns, round after round, and keeps what was measured.

line   one program with one kind of load, for example "doab bosh"
cell   lines with a number of sessions and a size of stanzas
round  all lines of a cell once, each time in another order
key    (part of the table, name of the line, sessions, bytes of text)
figure the median of the rounds. On a busy machine the lower fifth of them, because what others do
       to caches and batches only ever adds to the cost
share  the time that processes which do not belong to the benchmark had on its cores, in parts of
       all of it
"""
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from programs import Doab, find

SHARE_MAX = 0.1
ROUNDS_LEAST = 3  # that must count
CORES_MAX = 4
LOWER_PART = 5  # on a busy machine: a fifth


class LoadFailed(SystemExit):
    """Not all sessions opened, or not all stanzas came back."""


@dataclass
class Line:
    name: str
    load: str
    make: type
    options: dict
    switches: tuple = ()  # for the load

    def is_possible(self):
        return all(
            find(program) for program in ('haproxy', 'nginx', 'prosody') if program in self.name)


def core_order(core):
    """Those first that share no execution units with an earlier one."""
    path = f'/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list'
    try:
        with open(path, encoding='ascii') as siblings:
            first = int(re.match(r'\d+', siblings.read())[0])
    except (OSError, TypeError):
        first = core
    return (first != core, core)


class Bench:
    def __init__(self, arguments, folder, certificates):
        self.peer, self.client, self.tls_peer = (os.path.join(arguments.tools, name)
                                                 for name in ('peer', 'client', 'tls-peer'))
        self.doab, self.arguments = arguments.doab, arguments
        self.folder, self.certificates = folder, certificates
        self.cores = sorted(os.sched_getaffinity(0), key=core_order)[:CORES_MAX]
        self.rows = {}  # by key: a list of dictionaries, one a round

    def cores_beside(self, place):
        """The cores of the load and the server: those that the program leaves, or the last one."""
        return [core for core in self.cores if core not in place] or self.cores[-1:]

    def words(self, line, program, sessions, text, ms):
        words = [self.client, *program.switches, *line.switches]
        if ms:
            words += [
                '-c', ','.join(map(str, self.cores)), '-x', ','.join(map(str, program.others))
            ]
        return [*words, line.load, program.port, sessions, text, ms, *program.pids]

    def popen(self, cores, words, **options):
        return subprocess.Popen([str(word) for word in words],
                                stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE,
                                preexec_fn=lambda: os.sched_setaffinity(0, cores),
                                **options)

    def load(self, line, program, sessions, text, ms):
        return self.popen(self.cores_beside(program.place),
                          self.words(line, program, sessions, text, ms))

    def measure(self, line, program, sessions, text):
        with self.load(line, program, sessions, text, self.arguments.ms) as child:
            output = child.stdout.read()
        if child.returncode:
            raise LoadFailed(f'{line.name}, {sessions} sessions, {text} bytes: the load failed')
        n, cpu, foreign, wall, p50, p99, moved = map(float, output.split())
        return {
            'cpu_us': cpu / n,
            'per_s': n / wall * 1e6,
            'p50_us': p50,
            'p99_us': p99,
            'moved': moved,
            'share': foreign / wall / len(self.cores)
        }

    def measure_once_more(self, line, program, sessions, text):
        """Like measure(), but another program may fail once. It gets a new process then.

        Prosody was seen not to answer any of twenty clients that connected at once, and not to end.
        """
        try:
            return self.measure(line, program, sessions, text)
        except LoadFailed as failure:
            if isinstance(program, Doab):
                raise
            print(f'{failure}; once more, with a new process', file=sys.stderr)
        program.stop()
        program.run()
        return self.measure(line, program, sessions, text)

    def with_old(self, lines):
        """Beside each line of the program the same of the program to compare it with."""
        for line in lines:
            yield line
            if self.arguments.beside and issubclass(line.make, Doab):
                yield Line(f'beside {line.name}', line.load, line.make, {
                    **line.options, 'binary': self.arguments.beside
                }, line.switches)

    def run_cell(self, part, lines, sessions, text, rounds):
        """@sessions is a list of numbers that are measured one after the other in each turn."""
        print(f'{part}: {" and ".join(map(str, sessions))} sessions, {text} bytes of text',
              file=sys.stderr)
        running = []
        try:
            for line in self.with_old(line for line in lines if line.is_possible()):
                program = line.make(self, line.name.replace(' ', '-'), **line.options)
                running.append((line, program))
                program.begin()
            for i in range(rounds):
                # Each time in another order, so that nothing always follows the same.
                for line, program in running[i % len(running):] + running[:i % len(running)]:
                    for n in sessions:
                        self.rows.setdefault((part, line.name, n, text), []).append(
                            self.measure_once_more(line, program, n, text))
        finally:
            for _, program in running:
                program.stop()

    def good(self, key):
        """The rounds that count; None where others had the cores. They keep their places."""
        rows = self.rows.get(key, [])
        counted = [
            row if self.arguments.noisy or row['share'] <= SHARE_MAX else None for row in rows
        ]
        enough = sum(row is not None for row in counted) >= min(ROUNDS_LEAST, len(rows))
        return counted if enough else []

    def values(self, key, what='cpu_us'):
        return [row[what] for row in self.good(key) if row]

    def figure(self, values):
        values = sorted(values)
        return values[len(values) //
                      LOWER_PART] if self.arguments.noisy else statistics.median(values)

    def ratios(self, key, base, in_place=False):
        """What one line costs in parts of the other, in each round that counts for both.

        @in_place: None in the other rounds, which keep their places.
        """
        pairs = zip(self.good(key), self.good(base))
        values = [a['cpu_us'] / b['cpu_us'] if a and b else None for a, b in pairs]
        return values if in_place else [value for value in values if value is not None]

    def ratio(self, key, base):
        """The figure of what one line costs in parts of the other; None if that is not known."""
        values = self.ratios(key, base)
        if not values:
            return None
        if self.arguments.noisy:
            return self.figure(self.values(key)) / self.figure(self.values(base))
        return self.figure(values)

    def hold(self, line, program, sessions, text):
        child = self.load(line, program, sessions, text, 0)
        if child.stdout.readline() != b'open\n':
            raise SystemExit(f'{line.name}: the sessions do not open')
        time.sleep(0.5)
        return child

    def bare(self):
        """Microseconds and KB of each connection of a bare client of OpenSSL, resumed."""
        names = self.certificates
        words = [os.path.join(self.arguments.tools, 'bare')]
        words += [names[what] for what in ('certificate', 'key', 'authority')]
        done = subprocess.run(words + ['100' if self.arguments.short else '2000'],
                              capture_output=True,
                              text=True,
                              check=True)
        us, kilobytes = done.stdout.split()
        return float(us), float(kilobytes)

    def idle_kb(self, line, n_warm, n):
        """What each of @n more sessions takes when @n_warm are open."""
        program = line.make(self, 'idle-' + line.name.replace(' ', '-'), **line.options)
        try:
            program.run()
            with self.hold(line, program, n_warm, 0):
                before = program.resident_kb()
                with self.hold(line, program, n, 0):
                    return (program.resident_kb() - before) / n
        finally:
            program.stop()

    def crowd(self, line, n, bound):
        """The memory after @n sessions have left in parts of that before they came.

        Waits twenty seconds for it to go back to @bound.
        """
        program = line.make(self, 'crowd-' + line.name.replace(' ', '-'), **line.options)
        try:
            program.run()
            before = program.resident_kb()
            self.measure(line, program, n, 64)
            for _ in range(40):
                time.sleep(0.5)
                left = program.resident_kb() / before
                if left <= bound:
                    break
            return left
        finally:
            program.stop()
