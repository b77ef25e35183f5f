#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the worst input costs a parser, beside an ordinary one: CPU time, and memory for each byte.

    work.py check MEASURE WORST             as TAP: the inputs of the file WORST, and the generators of inputs.py, stay within the bounds there
    work.py search MEASURE WORST SECONDS [PARSER...]
                                            looks for worse ones, for as long for each parser and size of pieces, and rewrites WORST

    meson test -C build --suite work
    python3 tests/work/work.py search build/tests/measure-work tests/work/worst.txt 60

MEASURE is the program of measure.c. An input is a head, a unit again and again, and a tail, each a template (template.h); it arrives in
pieces. A paragraph of WORST is one input: the parser, the bytes of a piece, what is bad about it, and the three, unless they are empty.

plain     an ordinary input of the parser, cut in the same way: what a well-behaved peer costs
consumed  the bytes of an input up to where it is refused. What is refused before its middle is no worst input: most of it costs nothing
time      what a consumed byte costs, in parts of what one of the plain input costs
growth    what a consumed byte costs, in parts of what it costs in an input of a quarter of the size: 1 if the work is linear, 4 if it is
          quadratic. Of a parser that takes no more than so many bytes: what an input of four times as many costs in all, in parts of what
          so many cost. It is 1 if all that is too much is refused at once
out       bytes that come out, for each byte of the input
memory    the most memory that is allocated meanwhile, for each byte of the input
"""
import functools
import os
import random
import re
import subprocess
import sys
import time

from inputs import PARSERS

GROWTH_MAX = 3
TRIES = 6  # the machine may be busy with something else; the least counts
BEST = 12  # inputs that a search goes on from
PART_MAX = 300  # characters of a template that a search makes up
SAMPLES = 2
PARTS = ("head", "unit", "tail")
TOKEN = re.compile(r"\\\{\d+\*|\\[#~!]\d|\\x..|\\.|.", re.DOTALL)


class Cost:
	def __init__(self, line):
		self.ns, self.n, self.consumed, self.out, self.peak = map(int, line.split())

	def is_taken(self):
		return self.consumed * 2 >= self.n

	def per_byte(self):
		return self.ns / self.consumed if self.is_taken() else 0


class Measure:
	def __init__(self, program):
		self.child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
		self.plains = {}

	def cost(self, name, piece, parts, size=None, samples=SAMPLES):
		"""None where the templates give no input."""
		fields = [name, str(piece), str(size or PARSERS[name].size), str(samples), *parts]
		self.child.stdin.write("\t".join(fields) + "\n")
		self.child.stdin.flush()
		line = self.child.stdout.readline()
		if not line:
			sys.exit(f"measure ended after {fields}")
		return None if line == "-\n" else Cost(line)

	def plain(self, name, piece, again):
		"""What a byte of the ordinary input costs. @again: measures it once more; the least counts."""
		known = self.plains.get((name, piece))
		if known and not again:
			return known
		cost = self.cost(name, piece, PARSERS[name].plain)
		if not cost or not cost.is_taken():
			sys.exit(f"{name} does not take its ordinary input: {PARSERS[name].plain}")
		self.plains[name, piece] = min(cost.per_byte(), known or cost.per_byte())
		return self.plains[name, piece]

	def growth(self, name, piece, parts, cost):
		parser = PARSERS[name]
		if parser.is_bounded:
			larger = self.cost(name, piece, parts, parser.size * 4)
			return larger.ns / cost.ns
		quarter = self.cost(name, piece, parts, parser.size // 4)
		# Otherwise its head has nearly all of it, or it is good only when it is long.
		return cost.per_byte() / quarter.per_byte() if quarter and quarter.is_taken() else 0


def read(path):
	"""The inputs of a file: (parser, piece, what, parts)."""
	inputs = []
	with open(path, encoding="ascii") as file:
		for paragraph in file.read().split("\n\n"):
			lines = [line for line in paragraph.split("\n") if line and not line.startswith("# ")]
			if lines:
				name, piece, what = lines[0].split(" ")
				parts = dict(line.split(" ", 1) for line in lines[1:])
				inputs.append((name, int(piece), what, tuple(parts.get(part, "") for part in PARTS)))
	return inputs


def write(path, inputs):
	with open(path, "w", encoding="ascii") as file:
		file.write("# The worst inputs that work.py has found: a parser, the bytes of a piece (0: all at once), and what is bad.\n")
		for name, piece, what, parts in inputs:
			file.write(f"\n{name} {piece} {what}\n")
			for part, text in zip(PARTS, parts):
				if text:
					file.write(f"{part} {text[:-1]}{text[-1].replace(' ', chr(92) + 'x20')}\n")


class Verdict:
	"""The best of some measurements of one input."""

	def __init__(self, measure, name, piece, parts):
		self.measure, self.name, self.piece, self.parts = measure, name, piece, parts
		self.cost, self.time, self.growth = None, float("inf"), float("inf")

	def measure_once(self):
		plain = self.measure.plain(self.name, self.piece, bool(self.cost))
		self.cost = self.measure.cost(self.name, self.piece, self.parts)
		if not self.cost:
			return
		self.time = min(self.time, self.cost.per_byte() / plain)
		if self.cost.is_taken():
			self.growth = min(self.growth, self.measure.growth(self.name, self.piece, self.parts, self.cost))

	def is_lean(self):
		parser = PARSERS[self.name]
		return parser.out.allows(self.cost.out, self.cost.n) and parser.memory.allows(self.cost.peak, self.cost.n)

	def is_good(self):
		return self.is_lean() and self.time <= PARSERS[self.name].time and (self.growth <= GROWTH_MAX or not self.cost.is_taken())

	def __str__(self):
		parser, cost = PARSERS[self.name], self.cost
		growth = f"{self.growth:.2f} x {'if four times as long' if parser.is_bounded else 'a quarter'}" if cost.is_taken() else \
			f"refused after {cost.consumed} of {cost.n} bytes"
		return (f"{self.name} in pieces of {self.piece or 'any size'}: {self.time:.1f} x plain (at most {parser.time}), "
		        f"{growth} (at most {GROWTH_MAX}), out {cost.out / cost.n:.2f} ({parser.out}), memory {cost.peak / cost.n:.2f} ({parser.memory})")


def judge(measure, number, title, name, piece, parts, must_tell_all):
	"""@must_tell_all: the parser has to take the input, and its growth has to be known."""
	verdict = Verdict(measure, name, piece, parts)
	for _ in range(TRIES):
		verdict.measure_once()
		if not verdict.cost or verdict.is_good():
			break
	tells_all = bool(verdict.cost) and verdict.cost.is_taken() and verdict.growth > 0
	good = bool(verdict.cost) and verdict.is_good() and (tells_all or not must_tell_all)
	print(f"{'ok' if good else 'not ok'} {number} - {title} {verdict if verdict.cost else 'no input'}", flush=True)
	if not good:
		print(f"# {parts}")


def check(measure, path):
	inputs = read(path)
	seeds = [(name, parts) for name, parser in PARSERS.items() for parts in [parser.plain, *parser.seeds]]
	print(f"1..{len(inputs) + len(seeds) + 1}")
	missing = {(name, piece) for name, parser in PARSERS.items() for piece in parser.pieces} - {(name, piece) for name, piece, _, _ in inputs}
	print(f"{'not ok' if missing else 'ok'} 1 - each parser has an input {missing or ''}")
	for number, (name, piece, what, parts) in enumerate(inputs, 2):
		judge(measure, number, f"worst {what}:", name, piece, parts, what == "time")
	for number, (name, parts) in enumerate(seeds, 2 + len(inputs)):
		judge(measure, number, "generator:", name, PARSERS[name].pieces[0], parts, parts == PARSERS[name].plain)


def span(rng, tokens):
	begin = rng.randint(0, len(tokens))
	return begin, min(len(tokens), begin + rng.randint(1, 8))


def mutate_tokens(rng, words, tokens):
	kind, (begin, end), at = rng.randrange(9), span(rng, tokens), rng.randint(0, len(tokens))
	if kind < 3:
		return tokens[:at] + [rng.choice(words)] + tokens[at:]
	if kind == 3:
		return tokens[:begin] + tokens[end:]
	if kind == 4:
		return tokens[:begin] + [rng.choice((f"\\x{rng.randrange(256):02x}", rng.choice("abz019 ,;:=<>/%&")))] + tokens[begin + 1:]
	if kind == 5:
		return tokens[:at] + tokens[begin:end] + tokens[at:]
	if kind == 6:
		return tokens[:begin] + [f"\\{{{rng.choice((2, 3, 10, 60, 250, 1000, 3000))}*", *tokens[begin:end], "}"] + tokens[end:]
	if kind == 7:
		return [t if not t.startswith("\\{") or rng.random() < .5 else f"\\{{{max(1, int(int(t[2:-1]) * rng.choice((.5, .9, 1.1, 2))))}*"
		        for t in tokens]
	return [rng.choice(words) for _ in range(rng.randint(1, 4))]


def mutate(rng, words, parts):
	"""One of the three parts changes."""
	parts = list(parts)
	i = rng.choice((0, 1, 1, 1, 2))
	text = "".join(mutate_tokens(rng, words, TOKEN.findall(parts[i])))
	parts[i] = text if len(text) <= PART_MAX else parts[i]
	return tuple(parts)


class Hunt:
	"""The worst inputs so far by one measure, the worst first."""

	def __init__(self, score, is_sized):
		"""@is_sized: only inputs that a quarter of the size has, too, so that their growth can be told."""
		self.score, self.is_sized, self.found = score, is_sized, []

	def add(self, measure_again, parts, cost, size):
		score = self.score(cost)
		if score > 0 and (len(self.found) < BEST or score > self.found[-1][0]):
			quarter = measure_again(size=size // 4) if self.is_sized else cost
			if not quarter or self.is_sized and not quarter.is_taken():
				return
			# It may have been the machine.
			score = min(score, self.score(measure_again()))
			self.found = sorted({x: (r, x) for r, x in [*self.found, (score, parts)]}.values(), reverse=True)[:BEST]


def search_one(measure, name, piece, seconds, known):
	"""The worst inputs that were found for a parser and a size of pieces, and how many were tried."""
	parser, rng = PARSERS[name], random.Random(f"{name} {piece}")
	head, _, tail = parser.plain
	# Each word alone behind the beginning of the plain input, and what is known.
	start = [(head, word, end) for word in parser.words for end in ("", tail)] + [parser.plain, *parser.seeds, *known]
	hunts = {"time": Hunt(Cost.per_byte, not parser.is_bounded), "memory": Hunt(lambda cost: cost.peak / cost.n if cost.n else 0, False)}
	tried, end = 0, time.monotonic() + seconds
	while start or time.monotonic() < end:
		parts = start.pop() if start else rng.choice(rng.choice([h for h in hunts.values() if h.found]).found)[1]
		for _ in range(0 if start else rng.randint(1, 3)):
			parts = mutate(rng, parser.words, parts)
		cost, tried = measure.cost(name, piece, parts, samples=0), tried + 1
		if cost and cost.n * 2 >= parser.size:
			for hunt in hunts.values():
				hunt.add(functools.partial(measure.cost, name, piece, parts, samples=1), parts, cost, parser.size)
	return tried, hunts


def search(measure, path, seconds, names):
	known = read(path) if os.path.exists(path) else []
	inputs = []
	for name, parser in PARSERS.items():
		for piece in parser.pieces:
			mine = [x for x in known if x[:2] == (name, piece)]
			if names and name not in names:
				inputs += mine
				continue
			tried, hunts = search_one(measure, name, piece, seconds, [x[3] for x in mine])
			for what, hunt in hunts.items():
				# What takes hardly more memory than it has bytes is no input that is worth a line.
				if hunt.found and (what == "time" or hunt.found[0][0] > 2):
					verdict = Verdict(measure, name, piece, hunt.found[0][1])
					verdict.measure_once()
					print(f"{tried:6} inputs: {what:6} {verdict.cost.per_byte():7.1f} ns/byte, {verdict}  {verdict.parts}", flush=True)
					inputs.append((name, piece, what, verdict.parts))
	write(path, inputs)


def main(arguments):
	if arguments[:1] == ["check"] and len(arguments) == 3:
		check(Measure(arguments[1]), arguments[2])
	elif arguments[:1] == ["search"] and len(arguments) >= 4:
		search(Measure(arguments[1]), arguments[2], float(arguments[3]), arguments[4:])
	else:
		sys.exit(__doc__)


if __name__ == "__main__":
	main(sys.argv[1:])
