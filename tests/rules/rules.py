#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of the house that a program can keep, as TAP. `meson test --suite rules` runs it.

    rules.py SOURCE_ROOT --engines FILE... --archives LIBRARY...

The archives are the static libraries that the program is linked from: their symbols tell which file
calls which.
"""
import argparse
import os
import re
import subprocess
import sys

LINE_COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
TAB_COLUMNS = 8

# Functions that write or read without a bound, or that read numbers without telling errors.
UNBOUNDED = re.compile(
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|alloca|strtok|scanf|sscanf)\s*\(")
# A time limit of a test that is not made longer for slow machines: tests/support/util.mjs.
IMPATIENT = re.compile(r"\{ timeout: [0-9A-Z]")
# One that is made longer twice: these functions are patient themselves.
PATIENT_TWICE = re.compile(r"\b(until|within|untilEnd|nextFrame|logged|end)\(.*\bpatiently\(")
# What the security policy names as a proof: a test's file, and titles or cases that are in it.
PROOF = re.compile(r'`((?:unit|conformance|interop|fuzz|faults|soak|work|long)/[^`]+)`((?:\s+"[^"]+")*)')
# uthash with its own hash, for which anybody can compute keys that collide: common/hash.h has another.
OWN_HASH = re.compile(r"\bHASH_(ADD|FIND|REPLACE)(_STR|_INT|_PTR|_KEYPTR)?\(")
# Their keys are sids, which the gateway draws.
OWN_HASH_FILES = ("gateway/bosh/endpoint.c", "gateway/bosh/ended.c")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

# What a file in a folder may not include; the longest prefix that fits a file decides.
LAYERS = {
    "common/": ("policy/", "gateway/"),
    "policy/": ("gateway/",),
    "gateway/": (),
    "gateway/upstream/": ("gateway/bosh/", "gateway/ws/", "gateway/http/", "gateway/xmpp/"),
    "gateway/xmpp/": ("gateway/bosh/", "gateway/ws/", "gateway/http/"),
    "gateway/http/": ("gateway/bosh/", "gateway/ws/"),
}
IO_LIBRARIES = re.compile(
    r"(uv|microhttpd|ares|openssl/ssl|sys/epoll|poll|unistd|time)\.h")
# The functions of these libraries and of the C library, whatever header declares them.
IO_FUNCTIONS = re.compile(
    r"(uv|MHD|ares|SSL|BIO|epoll)_\w+|v?f?printf|f?puts|f?putc|fwrite|f?open(64)?|close"
    r"|p?(read|write)(64|v)?|(send|recv)(to|from|msg)?|socket|connect|accept4?|bind|listen|poll"
    r"|select|usleep|nanosleep|time|gettimeofday|clock_gettime")


class Tree:
    """The sources below the root, and what they include."""

    def __init__(self, root):
        self.root = root
        self.lines = {}
        for top in ("common", "policy", "gateway", "tests"):
            for folder, _, names in os.walk(os.path.join(root, top)):
                if "node_modules" in folder:
                    continue
                for name in names:
                    if name.endswith((".c", ".h")):
                        path = os.path.join(folder, name)
                        with open(path, encoding="utf-8") as file:
                            self.lines[os.path.relpath(path, root)] = file.read().split("\n")

    def scenarios(self):
        """The tests in JavaScript."""
        found = {}
        for top in ("tests/conformance", "tests/interop"):
            for folder, _, names in os.walk(os.path.join(self.root, top)):
                for name in names:
                    path = os.path.join(folder, name)
                    if name.endswith(".mjs"):
                        with open(path, encoding="utf-8") as file:
                            found[os.path.relpath(path, self.root)] = file.read().split("\n")
        return found

    def program(self):
        return {path: lines for path, lines in self.lines.items() if not path.startswith("tests/")}

    def includes(self, path, kind):
        pattern = r'\s*#\s*include\s*"([^"]+)"' if kind == "own" else r"\s*#\s*include\s*<([^>]+)>"
        return [m.group(1) for line in self.lines.get(path, ()) if (m := re.match(pattern, line))]

    def closure(self, path):
        """All files of the tree that @path includes, itself among them, each with the way to it."""
        ways = {path: [path]}
        due = [path]
        while due:
            at = due.pop()
            for name in self.includes(at, "own"):
                if name not in ways:
                    ways[name] = ways[at] + [name]
                    due.append(name)
        return ways


def circles(edges):
    """The sets of nodes that reach each other (Tarjan's algorithm), those of more than one node."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = set()
            while node not in group:
                group.add(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def find_pattern(lines_of, pattern):
    return [f"{path}:{number}: {line.strip()}" for path, lines in lines_of.items()
            for number, line in enumerate(lines, 1) if pattern.search(line)]


def check_layers(tree):
    troubles = []
    for path in tree.program():
        folder = max((prefix for prefix in LAYERS if path.startswith(prefix)), key=len)
        troubles += [f"{path} includes {name}" for name in tree.includes(path, "own")
                     if name.startswith(LAYERS[folder])]
    return troubles


def check_include_circles(tree):
    edges = {path: {name for name in tree.includes(path, "own") if name != path}
             for path in tree.program()}
    return [" <-> ".join(group) for group in circles(edges)]


def read_symbols(archives):
    """Which file defines each symbol, and which symbols each file uses."""
    defined, used = {}, {}
    for archive in archives:
        output = subprocess.run(["nm", "-A", "-P", archive], check=True, capture_output=True,
                                text=True).stdout
        for line in output.split("\n"):
            match = re.match(r".*?\[?([^/\[\]]+)\.c\.o\]?: (\S+) (\w)", line)
            if not match:
                continue
            name, symbol, kind = match.groups()
            name = f"{os.path.basename(archive)}:{name}"
            if kind == "U":
                used.setdefault(name, set()).add(symbol)
            elif kind.isupper():
                defined[symbol] = name
    return defined, used


def object_name(path):
    """The name under which read_symbols() knows the source @path: meson's, for gateway/bosh/key.c
    libgateway.a:bosh_key."""
    top, rest = os.path.splitext(path)[0].split("/", 1)
    return f"lib{top}.a:{rest.replace('/', '_')}"


def check_link_circles(archives):
    defined, used = read_symbols(archives)
    edges = {name: {defined[s] for s in symbols if s in defined and defined[s] != name}
             for name, symbols in used.items()}
    troubles = []
    for group in circles(edges):
        troubles.append(" <-> ".join(group))
        for name in group:
            for other in sorted(edges[name] & set(group)):
                names = sorted(s for s in used[name] if defined.get(s) == other)
                troubles.append(f"    {name} uses of {other}: {', '.join(names)}")
    return troubles


def check_engine_includes(tree, engines):
    troubles = []
    for engine in engines:
        for path, way in tree.closure(engine).items():
            troubles += [f"{' -> '.join(way)} includes <{name}>"
                         for name in tree.includes(path, "system") if IO_LIBRARIES.fullmatch(name)]
    return troubles


def check_engine_calls(archives, engines):
    """Of the project an engine calls engines only, of the libraries nothing that does I/O."""
    defined, used = read_symbols(archives)
    objects = {object_name(path) for path in engines}
    troubles = []
    for name in sorted(objects):
        for symbol in sorted(used.get(name, ())):
            if symbol in defined and defined[symbol] not in objects:
                troubles.append(f"{name} uses {symbol} of {defined[symbol]}, which is no engine")
            elif symbol not in defined and IO_FUNCTIONS.fullmatch(symbol):
                troubles.append(f"{name} uses {symbol}")
    return troubles


def check_files(tree):
    return [f"{path}: {len(lines) - 1} lines" for path, lines in tree.program().items()
            if len(lines) - 1 > FILE_LINES_MAX]


def check_lines(tree):
    return [f"{path}:{number}: {len(line.expandtabs(TAB_COLUMNS))} columns"
            for path, lines in tree.lines.items() for number, line in enumerate(lines, 1)
            if len(line.expandtabs(TAB_COLUMNS)) > LINE_COLUMNS_MAX]


def check_functions(tree):
    """A function's body stands between a `{` and a `}` at the beginning of a line. A test may hold a
    table of cases as long as it needs."""
    troubles = []
    for path, lines in tree.program().items():
        start = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number - 1
            elif line == "}" and start is not None:
                if number - start + 1 > FUNCTION_LINES_MAX:
                    troubles.append(f"{path}:{start}: {number - start + 1} lines")
                start = None
    return troubles


def check_hashes(tree):
    """Keys that strangers choose are hashed with a secret."""
    return find_pattern({path: lines for path, lines in tree.program().items()
                         if path not in OWN_HASH_FILES}, OWN_HASH)


def check_proofs(root):
    """Each test that the security policy names is there."""
    with open(os.path.join(root, ".github/SECURITY.md"), encoding="utf-8") as file:
        policy = file.read()
    proofs = PROOF.findall(policy)
    troubles = [] if proofs else ["no proof is named"]
    troubles += [f"no test is named before {title}" for title in re.findall(r'"[^"]+"', PROOF.sub("", policy))
                 if re.match('"(test|check)_', title)]
    for test, titles in proofs:
        paths = [os.path.join(root, "tests", test + end) for end in (".test.mjs", ".c", ".py")]
        found = [path for path in paths if os.path.exists(path)]
        if not found:
            troubles.append(f"{test} is not there")
            continue
        with open(found[0], encoding="utf-8") as file:
            text = file.read().replace("\\'", "'")
        troubles += [f"{test} has no {title!r}" for title in re.findall(r'"([^"]+)"', titles)
                     if title not in text]
    return troubles


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--engines", nargs="+", default=[])
    parser.add_argument("--archives", nargs="+", default=[])
    arguments = parser.parse_args()
    tree = Tree(arguments.root)
    engines = [os.path.relpath(path, arguments.root) for path in arguments.engines]
    results = [
        ("no function reads or writes without a bound", find_pattern(tree.lines, UNBOUNDED)),
        ("no work is left for somebody", find_pattern(tree.lines, UNFINISHED)),
        ("time limits of tests are patient", find_pattern(tree.scenarios(), IMPATIENT)),
        ("time limits of tests are patient once", find_pattern(tree.scenarios(), PATIENT_TWICE)),
        ("includes point downward", check_layers(tree)),
        ("no circle of includes", check_include_circles(tree)),
        ("no circle of calls between files", check_link_circles(arguments.archives)),
        ("engines include no library that does I/O", check_engine_includes(tree, engines)),
        ("engines call engines only", check_engine_calls(arguments.archives, engines)),
        ("the tests that the security policy names are there", check_proofs(arguments.root)),
        ("tables of keys that strangers choose have a secret hash", check_hashes(tree)),
        (f"no file of more than {FILE_LINES_MAX} lines", check_files(tree)),
        (f"no function of more than {FUNCTION_LINES_MAX} lines", check_functions(tree)),
        (f"no line of more than {LINE_COLUMNS_MAX} columns", check_lines(tree)),
    ]
    print(f"1..{len(results)}")
    for number, (what, troubles) in enumerate(results, 1):
        print(f"{'not ok' if troubles else 'ok'} {number} - {what}")
        for trouble in troubles:
            print(f"# {trouble}")
    return 1 if any(troubles for _, troubles in results) else 0


if __name__ == "__main__":
    sys.exit(main())
