# SPDX-License-Identifier: MIT
"""Carries out an attack: all its connections, in one process with one thread.

    attacker.py NAME PORT TLS_PORT OWN_PORT

attacks a gateway as tests/bench does, until it is killed, and says when the attack is under way. The
ports are those of the gateway, and of the attacker's own server.

client  a connection to the gateway. When it ends, a new one takes its place: at once, or after a
        moment if it was refused
server  a connection of the gateway to the attacker's own XMPP server
"""
import errno
import os
import selectors
import socket
import struct
import sys
import threading
import time
from types import SimpleNamespace

from attacks import ATTACKS, Until

ADDRESS = '127.0.0.9'
CHUNK = 64 * 1024
RETRY_S = 0.05
FIRST_S = 1  # for the clients to open, without those that the gateway refuses
OPEN_AT_ONCE = 20
RESET = struct.pack('ii', 1, 0)  # SO_LINGER
BACKLOG = 4096


class Connection:
    """Goes through its steps, and then sends its flood until the other side ends it.

    That of a server without a flood stays open, and what arrives is discarded.
    """
    def __init__(self, stream, steps, flood, is_client):
        self.stream, self.steps, self.flood, self.is_client = stream, [*steps], flood, is_client
        self.at, self.heard, self.events = 0, b'', 0

    @property
    def waits(self):
        return bool(self.steps) and isinstance(self.steps[0], Until)

    @property
    def wanted(self):
        """The events to wait for."""
        writes = bool(self.steps or self.flood) and not self.waits
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0)

    def read(self):
        data = self.stream.recv(CHUNK)
        if self.waits:
            self.heard += data
            if self.steps[0].words in self.heard:
                self.steps.pop(0)
                self.heard = b''
        return bool(data)

    def write(self):
        data = self.steps[0] if self.steps else self.flood
        self.at += self.stream.send(data[self.at:self.at + CHUNK])
        if self.at == len(data):
            self.at = 0
            if self.steps:
                self.steps.pop(0)

    def go_on(self, events):
        """Returns false when the connection is over."""
        try:
            if events & selectors.EVENT_READ and not self.read():
                return False
            if events & selectors.EVENT_WRITE and not self.waits:
                self.write()
        except BlockingIOError:
            pass
        except OSError:
            return False
        return bool(self.steps or self.flood or not self.is_client)


class Attacker:
    """@program: the gateway. Its domain for attackers leads to a server that is started here."""
    def __init__(self, attack, program):
        self.attack, self.port = attack, getattr(program, attack.port)
        self.ready = selectors.DefaultSelector()
        self.n_missing, self.n_opening, self.retry_at = attack.n, 0, 0
        self.listener = None
        if attack.server:
            self.listener = socket.create_server(('127.0.0.1', program.attacker_port),
                                                 backlog=BACKLOG)
            self.listener.setblocking(False)
            self.ready.register(self.listener, selectors.EVENT_READ)

    def add(self, stream, steps, flood, is_client):
        stream.setblocking(False)
        connection = Connection(stream, steps, flood, is_client)
        connection.events = connection.wanted
        self.ready.register(stream, connection.events, connection)

    def open_one(self):
        stream = socket.socket()
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        stream.bind((ADDRESS, 0))
        stream.setblocking(False)
        if stream.connect_ex(('127.0.0.1', self.port)) not in (0, errno.EINPROGRESS):
            stream.close()
            return
        self.n_missing -= 1
        self.n_opening += 1
        self.add(stream, self.attack.opening, self.attack.flood, True)

    def open_missing(self):
        if time.monotonic() < self.retry_at:
            return
        while self.n_missing and self.n_opening < OPEN_AT_ONCE:
            self.open_one()

    def accept(self):
        try:
            while True:
                stream, _ = self.listener.accept()
                self.add(stream, self.attack.server, self.attack.server_flood, False)
        except BlockingIOError:
            pass

    def end(self, connection):
        self.ready.unregister(connection.stream)
        connection.stream.close()
        if not connection.is_client:
            return
        self.n_missing += 1
        if connection.steps:
            self.n_opening -= 1
            self.retry_at = time.monotonic() + RETRY_S

    def go_on(self, connection, events):
        was_opening = bool(connection.steps)
        goes_on = connection.go_on(events)
        if connection.is_client and was_opening and not connection.steps:
            self.n_opening -= 1
        if not goes_on:
            self.end(connection)
        elif connection.wanted != connection.events:
            connection.events = connection.wanted
            self.ready.modify(connection.stream, connection.events, connection)

    def turn(self):
        self.open_missing()
        for key, events in self.ready.select(0.01):
            if key.fileobj is self.listener:
                self.accept()
            else:
                self.go_on(key.data, events)

    def run(self, is_under_way, is_over):
        """Until @is_over. Tells when all connections are open, or no more of them will be."""
        end = time.monotonic() + FIRST_S
        while not is_over.is_set():
            self.turn()
            is_open = not self.attack.flood or (self.n_missing == 0 and self.n_opening == 0)
            if not is_under_way.is_set() and (is_open or time.monotonic() > end):
                is_under_way.set()


class Told(threading.Event):
    """Says it."""
    def set(self):
        super().set()
        print('under way', flush=True)


def main():
    name, *ports = sys.argv[1:]
    port, tls_port, attacker_port = map(int, ports)
    program = SimpleNamespace(port=port,
                              tls_port=tls_port,
                              long_port=tls_port,
                              attacker_port=attacker_port)
    os.nice(10)
    Attacker(ATTACKS[name], program).run(Told(), threading.Event())


if __name__ == '__main__':
    main()
