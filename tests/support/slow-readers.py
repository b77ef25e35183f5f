#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that send a request and read nothing of its answer, after they have seen that it comes.

    slow-readers.py PORT [HEADER]

Each line of standard input is the body of a request, for a connection of its own; a line of standard output says
that its answer has begun, or its connection ended. The connections have small segments and little room, as on a slow
link, which Node cannot ask for: else the kernel takes a megabyte of each answer, and nothing waits in the gateway.
"""
import socket
import sys

header = f'{sys.argv[2]}\r\n' if len(sys.argv) > 2 else ''
connections = []
for line in sys.stdin:
    body = line.strip().encode()
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(('127.0.0.1', int(sys.argv[1])))
    head = f'POST /http-bind HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n{header}\r\n'
    connection.sendall(head.encode() + body)
    connections.append(connection)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except ConnectionError:
        pass
    print('answered', flush=True)
