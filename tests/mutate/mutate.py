#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks the engines, one small thing at a time, and tells what no unit test notices.

    mutate.py run [--count N] [--seed S] [FILE...]    N mutants over all engines (500), or over these files
    mutate.py again [--memcheck]                      those that survived once more, with the tests of now; or with valgrind,
                                                      which sees what AddressSanitizer sees when tests/run.sh is run
    mutate.py report                                  the counts by engine, and what survived; fails below 90 % caught
    mutate.py check                                   whether each line of explained.txt still names a mutant: in each run of the
                                                      tests, because it builds nothing

It works on a copy of the tree in build-mutate/, where it compiles the one file that it breaks, links the
library of what is tested and runs the unit tests of the file's folder and the corpora of its fuzzers, then,
if they notice nothing, the quick ones of all others. The results are in build-mutate/results.jsonl; a run
goes on where another stopped. A mutant is

    caught      a test failed, crashed or did not end
    broken      it did not compile: it does not count
    same        the compiler made the same code of it: it does not count
    equivalent  explained.txt says why no test can tell it from the original: it does not count
    survived    no test noticed
"""
import argparse
import collections
import functools
import json
import os
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time

import mutants

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
WORK = os.path.join(ROOT, "build-mutate")
TREE = os.path.join(WORK, "tree")
BUILD = os.path.join(WORK, "build")
MUTANT = os.path.join(WORK, "mutant.c")
RESULTS = os.path.join(WORK, "results.jsonl")
EXPLAINED = os.path.join(ROOT, "tests", "mutate", "explained.txt")
LIBRARY = "tests/libtested.so"
# Not engines, because they read a clock or a socket, but full of decisions.
BESIDE = ["common/due.c", "common/turn.c", "common/watch.c", "gateway/bosh/waits.c", "gateway/http/date.c",
          "gateway/http/fixed.c", "gateway/http/reader-request.c", "gateway/tls-controls.c", "gateway/wire/receive.c",
          "gateway/ws/receive.c", "gateway/xmpp/keepalive.c", "gateway/xmpp/outbox.c"]

FILE_MUTANTS_MIN = 3
# A mutant may loop for ever or ask for all memory.
CPU_SECONDS_MIN = 2
CPU_FACTOR = 3
# Nor may it wait as long as the tests' own patience, which many of them would exhaust one after the other.
WALL_SECONDS_MIN = 10
WALL_FACTOR = 5
WALL_SECONDS_MAX = 120
MEMCHECK = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]
MEMCHECK_FACTOR = 50
# Of CPU time: what tests of other folders may cost for each mutant that those of its own did not notice.
FAR_COST_MAX = 0.1
MEMORY_BYTES = 4 << 30


def copy_tree():
    """Copies what git knows, and what it would add; what is the same keeps its time, for ninja."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            check=True, capture_output=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source, target = os.path.join(ROOT, name), os.path.join(TREE, name)
        if not os.path.isfile(source):
            continue
        with open(source, "rb") as file:
            data = file.read()
        write_if_new(target, data)
        shutil.copymode(source, target)


def write_if_new(path, data):
    if os.path.exists(path):
        with open(path, "rb") as file:
            if file.read() == data:
                return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def prepare():
    copy_tree()
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        subprocess.run(["meson", "setup", BUILD, TREE, "-Doptimization=0", "-Ddebug=false"], check=True,
                       stdout=subprocess.DEVNULL)
    # That of a mutant, if a run was stopped.
    if os.path.exists(os.path.join(BUILD, LIBRARY)):
        os.unlink(os.path.join(BUILD, LIBRARY))
    if not ninja():
        sys.exit("the tree does not build: ninja -C build-mutate/build")


def ninja(*targets):
    done = subprocess.run(["ninja", "-C", BUILD, "-j1", *targets], check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    return done.returncode == 0


class Tests:
    """The unit tests as meson describes them, the quick ones first."""

    def __init__(self):
        asked = subprocess.run(["meson", "introspect", "--tests", BUILD], check=True, capture_output=True)
        all_of_them = json.loads(asked.stdout)
        self.tests = [test for test in all_of_them if any(s.endswith("unit") for s in test["suite"])]
        rules = next(test for test in all_of_them if test["name"] == "rules")
        self.engines = self.read_engines(rules["cmd"])
        self.cost = {}
        self.wall = {}
        self.through = []
        self.covered = {test["name"]: self.read_covered(test["name"]) for test in self.tests}

    @staticmethod
    def read_covered(name):
        """The files that a fuzzer says it is about; its corpus is a test."""
        path = os.path.join(TREE, "tests", "fuzz", f"{name}.c")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return " ".join(re.findall(r"^ \* covers: (.*)$", file.read(), re.MULTILINE)).split()

    @staticmethod
    def read_engines(command):
        start = command.index("--engines") + 1
        names = command[start:command.index("--archives")]
        return sorted(os.path.relpath(os.path.join(BUILD, name), TREE) for name in names)

    def measure(self):
        for test in self.tests:
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            if not self.passes(test, None):
                print(f"{test['name']} fails without a mutant: left out", file=sys.stderr)
                test["suite"] = []
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.cost[test["name"]] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            self.wall[test["name"]] = time.monotonic() - start
        self.tests = [test for test in self.tests if test["suite"]]

    def of(self, path):
        """All tests, in the order in which they are likely to notice a mistake in the file @path."""
        room = path.split("/")[-2]
        words = set(os.path.basename(path)[:-2].split("-"))

        def rank(test):
            suites = {part for suite in test["suite"] for part in suite.split(":")}
            is_near = room in suites or path in self.covered[test["name"]]
            is_named_so = bool(words & set(test["name"].split("-")))
            return (not is_near, not is_named_so, self.cost[test["name"]])

        ranked = sorted(self.tests, key=rank)
        near = [test for test in ranked if not rank(test)[0]]
        far = [test for test in ranked if rank(test)[0] and self.cost[test["name"]] < FAR_COST_MAX]
        return near, far

    def use_memcheck(self):
        """With the quick ones only, because each of them takes many times as long."""
        self.through = MEMCHECK
        self.tests = [test for test in self.tests if self.cost[test["name"]] < FAR_COST_MAX]

    def patience(self, test):
        """How long to wait for @test, in seconds."""
        if self.through or test["name"] not in self.wall:
            return WALL_SECONDS_MAX
        return min(WALL_SECONDS_MIN + WALL_FACTOR * self.wall[test["name"]], WALL_SECONDS_MAX)

    def passes(self, test, cost):
        limit = CPU_SECONDS_MIN + int(CPU_FACTOR * (cost if cost is not None else 10))
        limit *= MEMCHECK_FACTOR if self.through else 1

        def bound():
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        # The first test that fails is enough.
        env = {**os.environ, **test["env"], "CMOCKA_TEST_ABORT": "1"}
        child = subprocess.Popen([*self.through, *test["cmd"]], cwd=test["workdir"] or BUILD, env=env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True, preexec_fn=bound)
        try:
            return child.wait(self.patience(test)) == 0
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            child.wait()
            return False

    def failing(self, tests):
        """The name of the first test that fails."""
        return next((test["name"] for test in tests if not self.passes(test, self.cost.get(test["name"], 1))), None)


class Compiler:
    """Compiles one file and links the library, which is all that a mutant changes."""

    def __init__(self):
        with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
            commands = json.load(file)
        self.commands = {}
        for entry in commands:
            path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), TREE)
            self.commands.setdefault(path, (shlex.split(entry["command"]), entry["file"]))
        listed = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", LIBRARY], check=True, capture_output=True)
        self.link = shlex.split(listed.stdout.decode().splitlines()[-1].split(" && ")[0])
        if shutil.which("ld.gold"):
            # It knows nothing of CET.
            self.link = [word for word in self.link if word not in ("-Wl,-z,ibt", "-Wl,-z,shstk")]
            self.link.insert(1, "-fuse-ld=gold")
        if not self.make_library():
            sys.exit("the library does not link: " + shlex.join(self.link))

    def command(self, path, output):
        """Reads the mutant, not the file at @path, so that the tree stays whole whatever happens."""
        words, source = self.commands[path]
        command = [MUTANT if word == source else word for word in words]
        for option, n_words in (("-MD", 1), ("-MQ", 2), ("-MF", 2)):
            at = command.index(option)
            del command[at:at + n_words]
        command[command.index("-o") + 1] = output
        return command

    def compile(self, path, text, output, changes=()):
        write_if_new(MUTANT, text.encode())
        command = self.command(path, output)
        if changes:
            command = [word for word in command if not word.startswith(("-g", "-O"))] + list(changes)
        return subprocess.run(command, cwd=BUILD, check=False, stderr=subprocess.DEVNULL).returncode == 0

    def object_of(self, path):
        words = self.commands[path][0]
        return os.path.join(BUILD, words[words.index("-o") + 1])

    def code(self, path, text):
        """The code as it is made for use, to see whether a mutant is one."""
        output = os.path.join(WORK, "code.o")
        if not self.compile(path, text, output, ("-O2", "-DNDEBUG")):
            return None
        with open(output, "rb") as file:
            return file.read()

    def make_library(self):
        return subprocess.run(self.link, cwd=BUILD, check=False, stderr=subprocess.DEVNULL).returncode == 0


def read_source(path):
    with open(os.path.join(TREE, path), encoding="utf-8") as file:
        return file.read()


def judge(path, mutant, tests, compiler):
    """What becomes of a mutant, and which test told."""
    source = read_source(path)
    text = mutant.apply(source)
    output = compiler.object_of(path)
    kept = os.path.join(WORK, "kept.o")
    shutil.copy2(output, kept)
    try:
        if not compiler.compile(path, text, output) or not compiler.make_library():
            return "broken", None
    finally:
        # With its time, for ninja.
        shutil.move(kept, output)
    near, far = tests.of(path)
    name = tests.failing(near)
    if name is not None:
        return "caught", name
    changed = compiler.code(path, text)
    if changed is not None and changed == compiler.code(path, source):
        return "same", None
    name = tests.failing(far)
    return ("caught", name) if name is not None else ("survived", None)


def choose(paths, count, seed):
    """A sample: each file has its share by the number of places, and, if it is a large one, at least a few."""
    found = {path: mutants.find(read_source(path)) for path in paths}
    if count < FILE_MUTANTS_MIN * len(paths):
        everything = [(path, mutant) for path, of_file in found.items() for mutant in of_file]
        sample = random.Random(seed).sample(everything, min(count, len(everything)))
        return [(path, [mutant]) for path, mutant in sample]
    total = sum(len(of_file) for of_file in found.values())
    chosen = []
    for path, of_file in found.items():
        share = max(FILE_MUTANTS_MIN, round(count * len(of_file) / max(total, 1)))
        dice = random.Random(f"{seed} {path}")
        chosen.append((path, dice.sample(of_file, min(share, len(of_file)))))
    return chosen


def key_of(path, mutant):
    return f"{path}: {mutant.name}"


def read_results():
    """The last word on each mutant."""
    results = {}
    if os.path.exists(RESULTS):
        with open(RESULTS, encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                results[entry["key"]] = entry
    return results


def record(path, mutant, outcome, test, seconds):
    entry = {"key": key_of(path, mutant), "file": path, "line": mutant.line, "kind": mutant.kind,
             "of": mutant.of, "text": mutant.text, "outcome": outcome, "test": test,
             "seconds": round(seconds, 1)}
    with open(RESULTS, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    shown = mutant.text.replace("\n", " ")[:60]
    print(f"{outcome:9} {path}:{mutant.line}: {mutant.of}  [{mutant.kind}: {shown}]  {test or ''}", flush=True)


def try_all(chosen, tests, done):
    compiler = Compiler()
    # By turns, so that a run that is stopped has tried some of each file.
    turns = [(turn, path, mutant) for path, of_file in chosen for turn, mutant in enumerate(of_file)
             if key_of(path, mutant) not in done]
    turns.sort(key=lambda entry: entry[:2])
    for _, path, mutant in turns:
        start = time.monotonic()
        outcome, test = judge(path, mutant, tests, compiler)
        record(path, mutant, outcome, test, time.monotonic() - start)
    os.unlink(os.path.join(BUILD, LIBRARY))
    ninja(LIBRARY)


def run(options):
    prepare()
    tests = Tests()
    tests.measure()
    paths = options.files or tests.engines + BESIDE
    try_all(choose(paths, options.count, options.seed), tests, read_results())


def again(options):
    prepare()
    tests = Tests()
    tests.measure()
    if options.memcheck:
        tests.use_memcheck()
    survived = collections.defaultdict(set)
    for entry in read_results().values():
        if entry["outcome"] == "survived" and explanation(entry) is None:
            survived[entry["file"]].add(entry["key"])
    chosen = [(path, [m for m in mutants.find(read_source(path)) if key_of(path, m) in keys])
              for path, keys in sorted(survived.items())]
    try_all(chosen, tests, {})


@functools.cache
def read_explained():
    """Lines of "file | line of the source | new text | reason"; only the line of the source may have a " | " itself."""
    explained = {}
    if os.path.exists(EXPLAINED):
        with open(EXPLAINED, encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("# "):
                    path, rest = line.split(" | ", 1)
                    of, text, reason = (part.strip() for part in rest.rsplit(" | ", 2))
                    explained[path.strip(), of, text] = reason
    return explained


def shown_text(entry):
    return " ".join(entry["text"].split()) or "(nothing)"


def explanation(entry):
    return read_explained().get((entry["file"], entry["of"], shown_text(entry)))


def report(options):
    counts = collections.defaultdict(collections.Counter)
    left = []
    for entry in read_results().values():
        outcome = entry["outcome"]
        if outcome == "survived" and explanation(entry) is not None:
            outcome = "equivalent"
        elif outcome == "survived":
            left.append(entry)
        counts[entry["file"]][outcome] += 1
    names = ("caught", "survived", "equivalent", "same", "broken")
    print(f"{'':34}" + "".join(f"{name:>11}" for name in names))
    total = collections.Counter()
    for path in sorted(counts):
        total += counts[path]
        print(f"{path:34}" + "".join(f"{counts[path][name]:11}" for name in names))
    print(f"{'all':34}" + "".join(f"{total[name]:11}" for name in names))
    tried = total["caught"] + total["survived"]
    print(f"{total['caught']} of {tried} caught: {100 * total['caught'] / max(tried, 1):.1f} %")
    for entry in sorted(left, key=lambda entry: (entry["file"], entry["line"])):
        print(f"{entry['file']} | {entry['of']} | {shown_text(entry)} | line {entry['line']}")
    sys.exit(10 * total["caught"] < 9 * tried)


def check(options):
    """Like a test of TAP. What was explained and has been rewritten since must be looked at again."""
    found = {}
    stale = []
    for path, of, text in read_explained():
        if path not in found and os.path.exists(os.path.join(ROOT, path)):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                found[path] = {(mutant.of, " ".join(mutant.text.split()) or "(nothing)") for mutant in mutants.find(file.read())}
        if (of, text) not in found.get(path, ()):
            stale.append(f"# explained.txt: no such mutant: {path} | {of} | {text}")
    print("1..1")
    print(f"{'not ok' if stale else 'ok'} 1 - each mutant that is explained exists")
    print("\n".join(stale))
    sys.exit(bool(stale))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run")
    command.add_argument("--count", type=int, default=500)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("files", nargs="*")
    command.set_defaults(do=run)
    command = commands.add_parser("again")
    command.add_argument("--memcheck", action="store_true")
    command.set_defaults(do=again)
    commands.add_parser("report").set_defaults(do=report)
    commands.add_parser("check").set_defaults(do=check)
    options = parser.parse_args()
    options.do(options)


main()
