#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A bad network link within one network namespace: loses, delays, reorders, doubles and swallows packets.

    bad-link.py DEVICE SEED

It makes a TUN device. What is sent to an address of the device's network comes back in with source and
destination exchanged: who connects to the far address (11.0.61.2) reaches what listens on the near one
(11.0.61.1), and both ends are TCP of the kernel, with its own repetitions. (The checksums of IP, TCP, UDP
and ICMP stay valid: they are sums.) It stands in for netem, which many kernels lack, and its dice can be
brought back by SEED.

Each line on standard input sets what befalls the packets of one direction from now on, and is answered
with a line: the packets of that direction so far, by what became of them.

    {"way": "up", "loss": 0.1, "delay": 20, "jitter": 10, "reorder": 0.1, "double": 0.01, "mtu": 600,
     "cut": false}

way      "up": from the side that sent the first packet of a flow; "down": to it
loss     the share of packets that are lost
delay    milliseconds, and up to jitter ms more; packets stay in order
reorder  the share of packets that are not delayed, and so overtake others
double   the share of packets that come twice
mtu      longer packets are lost, without an ICMP message
cut      all packets are lost
"""
import collections
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
PACKET_MAX = 65536
PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP = 1, 6, 17
ICMP_ERRORS = (3, 11)
FLOWS_MAX = 100000


def exchange(packet, at):
    """Exchanges the addresses of the IPv4 header whose source stands at @at."""
    packet[at:at + 4], packet[at + 4:at + 8] = packet[at + 4:at + 8], packet[at:at + 4]


class Direction:
    def __init__(self):
        self.set({})
        self.counts = collections.Counter()
        self.last = 0.0

    def set(self, faults):
        self.loss = faults.get("loss", 0)
        self.delay = faults.get("delay", 0) / 1000
        self.jitter = faults.get("jitter", 0) / 1000
        self.reorder = faults.get("reorder", 0)
        self.double = faults.get("double", 0)
        self.mtu = faults.get("mtu", PACKET_MAX)
        self.cut = faults.get("cut", False)

    def fate(self, dice, n_bytes):
        """What becomes of a packet: the word that is counted."""
        if self.cut:
            return "cut"
        if n_bytes > self.mtu:
            return "big"
        if dice.random() < self.loss:
            return "lost"
        return "overtaking" if dice.random() < self.reorder else "passed"

    def due(self, dice, fate, now):
        """When a packet arrives."""
        if fate == "overtaking":
            return now
        self.last = max(self.last, now + self.delay + dice.random() * self.jitter)
        return self.last


class Link:
    def __init__(self, device, seed):
        self.dice = random.Random(seed)
        self.ways = {"up": Direction(), "down": Direction()}
        self.flows = {}
        self.due = []
        self.n = 0
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))

    def way_of(self, packet):
        protocol = packet[9]
        if protocol not in (PROTOCOL_TCP, PROTOCOL_UDP):
            return "down"
        start = (packet[0] & 15) * 4
        ports = struct.unpack_from("!HH", packet, start)
        key, back = (protocol, *ports), (protocol, ports[1], ports[0])
        if back in self.flows:
            return "down"
        if len(self.flows) >= FLOWS_MAX:
            self.flows.clear()
        self.flows[key] = True
        return "up"

    def take(self, packet, now):
        if packet[0] >> 4 != 4:
            return
        way = self.ways[self.way_of(packet)]
        fate = way.fate(self.dice, len(packet))
        way.counts[fate] += 1
        if fate not in ("passed", "overtaking"):
            return
        exchange(packet, 12)
        if packet[9] == PROTOCOL_ICMP and packet[20] in ICMP_ERRORS:
            exchange(packet, 40)
        copies = 1
        if self.dice.random() < way.double:
            way.counts["doubled"] += 1
            copies = 2
        for _ in range(copies):
            self.n += 1
            heapq.heappush(self.due, (way.due(self.dice, fate, now), self.n, packet))

    def read(self, now):
        while True:
            try:
                packet = bytearray(os.read(self.fd, PACKET_MAX))
            except BlockingIOError:
                return
            self.take(packet, now)

    def deliver(self, now):
        while self.due and self.due[0][0] <= now:
            try:
                os.write(self.fd, heapq.heappop(self.due)[2])
            except OSError as error:
                # The device is down, or the kernel has no memory for it: one more lost packet.
                print(f"bad-link: {error}", file=sys.stderr)

    def command(self, line):
        faults = json.loads(line)
        way = self.ways[faults.pop("way")]
        way.set(faults)
        print(json.dumps(way.counts), flush=True)

    def run(self):
        commands = b""
        stdin = sys.stdin.fileno()
        while True:
            left = max(0, self.due[0][0] - time.monotonic()) if self.due else None
            ready, _, _ = select.select([self.fd, stdin], [], [], left)
            if stdin in ready:
                more = os.read(stdin, PACKET_MAX)
                if not more:
                    return
                *lines, commands = (commands + more).split(b"\n")
                for line in lines:
                    self.command(line)
            now = time.monotonic()
            if self.fd in ready:
                self.read(now)
            self.deliver(now)


if __name__ == "__main__":
    Link(sys.argv[1], sys.argv[2]).run()
