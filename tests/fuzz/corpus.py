#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns a corpus from one file, as it is kept in the tree, into one file an input, and back.

    corpus.py unpack FILE FOLDER     libFuzzer reads folders
    corpus.py line INPUT...          prints each input as a line for corpus/NAME.txt
"""
import hashlib
import os
import re
import sys

ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}
NAMES = {value[0]: "\\" + key.decode() for key, value in ESCAPES.items()}


def unescape(line):
    return re.sub(rb"\\(x([0-9a-f]{2})|.)",
                  lambda m: bytes.fromhex(m[2].decode()) if m[2] else ESCAPES[m[1]], line)


def escape(data):
    text = "".join(NAMES.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data)
    return re.sub("^# ", r"\\x23 ", text)


def unpack(path, folder):
    os.makedirs(folder, exist_ok=True)
    with open(path, "rb") as file:
        for line in file.read().split(b"\n")[:-1]:
            if not line.startswith(b"# "):
                data = unescape(line)
                name = hashlib.sha1(data).hexdigest()
                with open(os.path.join(folder, name), "wb") as output:
                    output.write(data)


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "unpack":
        unpack(*arguments[1:])
    elif arguments[:1] == ["line"]:
        for path in arguments[1:]:
            with open(path, "rb") as file:
                print(escape(file.read()))
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
