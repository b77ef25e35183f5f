# SPDX-License-Identifier: MIT
"""The latency of a quiet client, alone and while another one does its worst.

quiet    a WebSocket that sends a stanza now and then, and waits for it to come back
attacker as many connections as a client may have, of another address, that send as fast as they are
         read what costs the gateway most. Or they only read, and an XMPP server of the attacker's
         own sends
"""
import contextlib
import multiprocessing
import os
import random
import selectors
import socket
import struct
import threading
import time

N_ATTACKERS = 200
ATTACKER = '127.0.0.9'
PAUSE_S = (0.004, 0.008)  # between two stanzas of the quiet client
SETTLE_S = 1.5  # until the attack is under way
NICE_GATEWAY, NICE_ATTACKER = -10, 10
SENT_MAX = 64 * 1024

UPGRADE = (b'GET /xmpp-websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
           b'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n'
           b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
OPEN = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='%s' version='1.0'/>"
DOMAIN, OWN_DOMAIN = b'bench.test', b'attack.test'
HEADER = (b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
          b"id='a' from='attack.test' version='1.0'><stream:features/>")
STANZA = b"<message xmlns='jabber:client' id='%d'><body>%s</body></message>"


def frame(payload, first=0x81):
    """A masked frame; the mask is all zeros."""
    n = len(payload)
    length = bytes([0x80 | n]) if n < 126 else b'\xfe' + struct.pack('>H', n)
    return bytes([first]) + length + bytes(4) + payload


# What each attacker sends again and again, and whether over a WebSocket.
ATTACKS = {
    'small elements': (frame(b"<message xmlns='jabber:client'>" + b'<a/>' * 1900 + b'</message>'), True),
    'small stanzas': (frame(b"<message xmlns='jabber:client'/>") * 200, True),
    'pings': (frame(b'', 0x89) * 4000, True),
    'requests for the page': (b'GET / HTTP/1.1\r\nHost: a\r\n\r\n' * 500, False),
    'heads': ((b'GET /x HTTP/1.1\r\nHost: a\r\n' + b'a:b\r\n' * 100 + b'\r\n') * 30, False),
}
OWN_SERVER = 'stanzas of a server of its own'
FROM_SERVER = b'<message/>' * 6000


def connect(port, is_websocket, source='', domain=DOMAIN):
    client = socket.create_connection(('127.0.0.1', port), source_address=(source, 0))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if is_websocket:
        client.sendall(UPGRADE)
        client.recv(4096)
        client.sendall(frame(OPEN % domain))
        # <open/> and the features.
        while b'features' not in client.recv(4096):
            pass
    return client


class Sender:
    def __init__(self, client, data):
        self.client, self.data, self.at = client, data, 0

    def go_on(self, events):
        """Returns false when the connection is over."""
        try:
            if events & selectors.EVENT_READ and not self.client.recv(SENT_MAX):
                return False
            if events & selectors.EVENT_WRITE:
                n = self.client.send(self.data[self.at:self.at + SENT_MAX])
                self.at = (self.at + n) % len(self.data)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


def send_on(ready, name, is_over):
    """Until the attack is over."""
    while not is_over.is_set():
        if not ready.get_map():
            raise SystemExit(f'{name}: all connections are over')
        for key, events in ready.select(0.1):
            if not key.data.go_on(events):
                ready.unregister(key.fileobj)
                key.fileobj.close()


def attack(program, name, cores, is_over):
    os.sched_setaffinity(0, cores)
    os.nice(NICE_ATTACKER)
    if name == OWN_SERVER:
        attack_by_server(program, is_over)
        return
    data, is_websocket = ATTACKS[name]
    ready = selectors.DefaultSelector()
    for _ in range(N_ATTACKERS):
        client = connect(program.port, is_websocket, ATTACKER)
        client.setblocking(False)
        ready.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE, Sender(client, data))
    send_on(ready, name, is_over)


def attack_by_server(program, is_over):
    """One session after the other is opened; then all servers send."""
    clients, servers = selectors.DefaultSelector(), selectors.DefaultSelector()
    with socket.create_server(('127.0.0.1', program.attacker_port), backlog=N_ATTACKERS) as listener:
        for _ in range(N_ATTACKERS):
            accepting = threading.Thread(target=accept, args=(listener, servers))
            accepting.start()
            client = connect(program.port, True, ATTACKER, OWN_DOMAIN)
            accepting.join()
            client.setblocking(False)
            clients.register(client, selectors.EVENT_READ, Sender(client, b''))
    reading = threading.Thread(target=send_on, args=(clients, OWN_SERVER, is_over))
    reading.start()
    send_on(servers, OWN_SERVER, is_over)
    reading.join()


def accept(listener, servers):
    server, _ = listener.accept()
    while b'<stream:stream' not in server.recv(4096):
        pass
    server.sendall(HEADER)
    server.setblocking(False)
    servers.register(server, selectors.EVENT_READ | selectors.EVENT_WRITE,
                     Sender(server, FROM_SERVER))


def quiet(port, seconds):
    """The latencies in microseconds."""
    client, latencies = connect(port, True), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stanza = frame(STANZA % (len(latencies), b'x' * 60))
        begin = time.perf_counter()
        client.sendall(stanza)
        client.recv(4096)
        latencies.append((time.perf_counter() - begin) * 1e6)
        time.sleep(random.uniform(*PAUSE_S))
    client.close()
    return latencies


def p99(latencies):
    return sorted(latencies)[int(len(latencies) * 0.99)]


def measure(bench, program, name, seconds):
    """The p99 of the quiet client alone, and under the attack."""
    cores = bench.cores_beside(program.place)
    alone = p99(quiet(program.port, seconds))
    is_over = multiprocessing.Event()
    attacker = multiprocessing.Process(target=attack, args=(program, name, cores, is_over))
    attacker.start()
    time.sleep(SETTLE_S)
    attacked = p99(quiet(program.port, seconds))
    is_over.set()
    attacker.join()
    return alone, attacked


def spin(core):
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        pass


@contextlib.contextmanager
def cores_awake(bench):
    """Keeps the cores from sleeping.

    To wake one takes a virtual machine longer than a round trip does. That would count for a quiet
    client alone, and hide what an attacker costs it.
    """
    spinning = [
        multiprocessing.Process(target=spin, args=(core, ), daemon=True) for core in bench.cores
    ]
    for process in spinning:
        process.start()
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.join()


def be_usual():
    """Undoes what be_quick() did to this process."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def be_quick(bench, program):
    """What others do with the cores must not look like the gateway's latency.

    The scheduler lets the attacker end its slice of some milliseconds before a quiet client or a
    server on the same core goes on, unless these are of a real-time class. The gateway has a core
    of its own, where that would only starve the kernel's threads.
    """
    os.sched_setaffinity(0, bench.cores_beside(program.place))
    try:
        for pid in [0, *program.others]:
            os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        for pid in program.pids:
            for thread in os.listdir(f'/proc/{pid}/task'):
                os.setpriority(os.PRIO_PROCESS, int(thread), NICE_GATEWAY)
    except PermissionError:
        pass  # Only root may.
