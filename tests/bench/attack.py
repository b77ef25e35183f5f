# SPDX-License-Identifier: MIT
"""The latency of a quiet client, alone and while another one does its worst.

quiet    a WebSocket that sends a stanza now and then, and waits for it to come back
attacker as many connections as a client may have, of another address (attacks.py)
"""
import contextlib
import multiprocessing
import os
import random
import socket
import time

from attacker import Attacker
from attacks import DOMAIN, OPEN, UPGRADE, frame

PAUSE_S = (0.003, 0.005)  # between two stanzas of the quiet client
SETTLE_S = 1  # once the attack is under way: until the gateway knows who takes much
READY_S = 20  # until it is
N_STEERED = 100000
RPS = '/sys/class/net/lo/queues/rx-0/rps_cpus'
BACKLOG = '/proc/sys/net/core/netdev_max_backlog'
NICE_GATEWAY, NICE_ATTACKER = -10, 10
STANZA = b"<message xmlns='jabber:client' id='%d'><body>%s</body></message>"


def connect(port):
    client = socket.create_connection(('127.0.0.1', port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(UPGRADE % b'')
    client.recv(4096)
    client.sendall(frame(OPEN % DOMAIN))
    # <open/> and the features.
    while b'features' not in client.recv(4096):
        pass
    return client


def attack(of, program, cores, is_under_way, is_over):
    os.sched_setaffinity(0, cores)
    os.nice(NICE_ATTACKER)
    Attacker(of, program).run(is_under_way, is_over)


def quiet(port, seconds):
    """The latencies in microseconds."""
    client, latencies = connect(port), []
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


def measure(bench, program, of, seconds):
    """The p99 of the quiet client alone, and under the attack."""
    cores = bench.cores_beside(program.place)
    alone = p99(quiet(program.port, seconds))
    is_under_way, is_over = multiprocessing.Event(), multiprocessing.Event()
    child = multiprocessing.Process(target=attack, args=(of, program, cores, is_under_way, is_over))
    child.start()
    if not is_under_way.wait(READY_S):
        raise SystemExit('the attack does not begin')
    time.sleep(SETTLE_S * seconds)
    attacked = p99(quiet(program.port, seconds))
    is_over.set()
    child.join()
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


@contextlib.contextmanager
def packets_elsewhere(bench, program):
    """Keeps the kernel's work for the attacker's packets away from the gateway's core.

    On the loopback interface, what a program reads makes room for what the other side has to send,
    and the kernel sends that at once, on the core of the reader: up to four milliseconds of an
    attacker's work, within one recv(2) of the gateway's. Packets of a network are received where its
    card interrupts. Only root may steer them (Documentation/networking/scaling.rst, RPS).
    """
    mask = sum(1 << core for core in bench.cores_beside(program.place))
    before = {}
    try:
        # Else some of the steered packets are dropped, and sent again after 200 milliseconds.
        for file, value in ((BACKLOG, N_STEERED), (RPS, f'{mask:x}')):
            with open(file, encoding='ascii') as old:
                text = old.read()
            with open(file, 'w', encoding='ascii') as new:
                new.write(str(value))
            before[file] = text
    except OSError:
        pass
    try:
        yield
    finally:
        for file, text in before.items():
            with open(file, 'w', encoding='ascii') as old:
                old.write(text)


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
            for thread in map(int, os.listdir(f'/proc/{pid}/task')):
                nice = os.getpriority(os.PRIO_PROCESS, thread)  # Helpers' threads have more.
                os.setpriority(os.PRIO_PROCESS, thread, nice + NICE_GATEWAY)
    except PermissionError:
        pass  # Only root may.
