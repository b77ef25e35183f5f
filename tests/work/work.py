#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the worst input costs a parser, beside an ordinary one.

    work.py check MEASURE WORST             as TAP: the inputs of the file WORST stay within the bounds below
    work.py search MEASURE WORST SECONDS    looks for worse ones, for as long for each parser and size of pieces, and rewrites it

    meson test -C build --suite work
    python3 tests/work/work.py search build/tests/measure-work tests/work/worst.txt 60

MEASURE is the program of measure.c. An input is HEAD, UNIT again and again, TAIL; it arrives in pieces. A line of WORST is
a parser, the bytes of a piece (0: all at once), and the three, as Python writes bytes.

plain  an ordinary input of the parser, cut in the same way: what a well-behaved peer costs
ratio  what a byte of an input costs, in parts of what one of the plain input costs
growth what a byte of an input costs, in parts of what it costs in an input of a quarter of the size; 1 for a parser
       whose work is linear
"""
import ast
import os
import random
import subprocess
import sys
import time
import zlib

HEADER = b"<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' version='1.0'><s:features/>"
BODY = b"<body xmlns='http://jabber.org/protocol/httpbind' rid='5' sid='s'>"
MESSAGE = b"<message xmlns='jabber:client' to='a@b.example'><body>Wherefore art thou, Romeo?</body></message>"
XML_WORDS = [b"<a>", b"</a>", b"<a/>", b"<", b">", b"/>", b"'", b'"', b"<a b='", b" a='b'", b"=", b"x", b" ", b"&lt;", b"&#9;", b"&",
             b"<![CDATA[", b"]]>", b"]]", b"xmlns:a='b'", b" xmlns='c'", b"a:b", b"\xc3\xa4", b"\xf0\x9f\x98\x80", b"\r\n", b"<?", b"<!--",
             b"<m><n><o>", b"</o></n></m>", b"<iq type='get'/>", b"'>", b"\n"]
HEAD_WORDS = [b"\r\n", b"a: b\r\n", b": ", b",", b" ", b"X-A", b"Connection: close\r\n", b"Origin: ", b"GET ", b"HTTP/1.1", b"/", b"%41", b"?",
              b"Content-Length: 0\r\n", b"Cookie: a=b; ", b"\t", b"Host: a\r\n"]


def deflated(text):
	"""A part of a compressed stream that may stand in it again and again."""
	coder = zlib.compressobj(wbits=-15)
	return coder.compress(text) + coder.flush(zlib.Z_FULL_FLUSH)


class Parser:
	def __init__(self, size, ratio, plain, words, pieces=(0,)):
		self.size, self.ratio, self.plain, self.words, self.pieces = size, ratio, plain, words, pieces


CUT = (0, 1, 3, 10, 100, 1400)
# The bounds stand well above what the worst inputs cost (search prints it), because machines differ; work that is not
# linear would be far above them.
PARSERS = {


	"stream": Parser(65536, 40, (HEADER, MESSAGE, b""), XML_WORDS, CUT),
	"message": Parser(65536, 40, (b"<iq xmlns='jabber:client'>", b"<item jid='a@b.example' name='x'/>", b"</iq>"), XML_WORDS, CUT),
	"body": Parser(65536, 40, (BODY, MESSAGE, b"</body>"), XML_WORDS),
	"frames": Parser(65536, 40, (b"", b"\x81\xe4abcd" + b"\x20" * 100, b""),
	                 [b"\x81\x80abcd", b"\x89\x80abcd", b"\x00\x80abcd", b"\x01\x80abcd", b"\x81\x81abcdx", b"\x00\x81abcdx", b"\xc1\x80abcd", b"\x80\x80abcd",
	                  b"\x8a\x80abcd", b"\x81\xfe\x7f\xffabcd", b"\xa2", b"x"], CUT),
	"head": Parser(15000, 40, (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X-Header: some ordinary value, which is of no special interest to anybody, and is long\r\n" * 2, b"\r\n"), HEAD_WORDS, CUT),
	"coding": Parser(4096, 40, (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", deflated(MESSAGE), b""),
	                 [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", b"\x01\x00\x00\xff\xff", b"\x00\x00\x00\xff\xff", b"\xed\xc1", b"\x03\x00", b"\xff" * 8, b"\x00" * 8, b"\x4b\x4c"]),
	"reply": Parser(5500, 40, (b"\x12\x34\x81\x80\x00\x01\x00\xf0\x00\x00\x00\x00\x0c_xmpp-client\x04_tcp\x01a\x07example\x00\x00\x21\x00\x01",
	                            b"\xc0\x0c\x00\x21\x00\x01\x00\x00\x0e\x10\x00\x0b\x00\x01\x00\x01\x14\x66\x01b\xc0\x1e", b""),
	                [b"\xc0\x0c", b"\xc0\x1e", b"\x00\x05\x00\x01\x00\x00\x0e\x10\x00\x02", b"\x00\x21\x00\x01", b"\x01a", b"\x00", b"\x3f" + b"a" * 63]),
	"login": Parser(65536, 40, (b"", MESSAGE, b""), XML_WORDS + [b"<auth ", b"mechanism='PLAIN'", b"<password", b"xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"]),
	"cors": Parser(1000, 40, (b"content-type", b", x-header-of-a-page", b""), [b",", b" ", b"a", b"\t", b"(", b", ", b"a,"]),
	"forwarded": Parser(15000, 40, (b"", b"for=192.0.2.60;proto=http;by=203.0.113.43, ", b"for=192.0.2.1"),
	                    [b"for=", b'"', b"\\", b";", b",", b"192.0.2.1", b"[::1]", b"proto=https", b" ", b"=", b"10.0.0.1, ", b"https, "]),
}
GROWTH_MAX = 2.5
TRIES = 5  # the machine may be busy with something else
BEST = 12  # inputs that a search goes on from


class Measure:
	def __init__(self, program):
		self.child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

	def ns(self, parser, piece, parts, size=None):
		"""What a byte costs; 0 where the input is none for the program."""
		size = size or PARSERS[parser].size
		head, unit, tail = parts
		# What a short input costs is what any request costs.
		if not unit or len(head) + len(unit) + len(tail) > size:
			return 0
		self.child.stdin.write(f"{parser} {piece} {size} {head.hex() or '-'} {unit.hex() or '-'} {tail.hex() or '-'}\n")
		self.child.stdin.flush()
		return float(self.child.stdout.readline())

	def ratio(self, parser, piece, parts):
		plain = min(self.ns(parser, piece, PARSERS[parser].plain) for _ in range(3))
		return min(self.ns(parser, piece, parts) for _ in range(3)) / plain

	def growth(self, parser, piece, parts):
		size = PARSERS[parser].size
		small = min(self.ns(parser, piece, parts, size // 4) for _ in range(3))
		return min(self.ns(parser, piece, parts) for _ in range(3)) / small if small else 0


def read(path):
	inputs = []
	with open(path, encoding="ascii") as file:
		for line in file:
			if line.strip() and not line.startswith("#"):
				parser, piece, rest = line.split(" ", 2)
				inputs.append((parser, int(piece), tuple(ast.literal_eval(rest))))
	return inputs


def check(measure, path):
	inputs = read(path)
	print(f"1..{len(inputs) + 1}")
	missing = set(PARSERS) - {parser for parser, _, _ in inputs}
	print(f"{'not ok' if missing else 'ok'} 1 - each parser has an input")
	for number, (parser, piece, parts) in enumerate(inputs, 2):
		bound, good = PARSERS[parser].ratio, False
		for _ in range(TRIES):
			ratio, growth = measure.ratio(parser, piece, parts), measure.growth(parser, piece, parts)
			good = ratio <= bound and growth <= GROWTH_MAX
			if good:
				break
		print(f"{'ok' if good else 'not ok'} {number} - {parser} in pieces of {piece or 'any size'}: "
		      f"{ratio:.1f} x plain (at most {bound}), {growth:.2f} x a quarter (at most {GROWTH_MAX})")


def mutate(rng, words, parts):
	"""One of the three parts changes."""
	parts = list(parts)
	i = rng.choice((0, 1, 1, 1, 2))
	text, at = parts[i], rng.randint(0, len(parts[i]))
	kind = rng.randrange(7)
	if kind < 3:
		text = text[:at] + rng.choice(words) + text[at:]
	elif kind == 3:
		text = text[:at] + text[at + rng.randint(1, 8):]
	elif kind == 4:
		text = text[:at] + bytes([rng.choice((rng.randrange(256), rng.randrange(32, 127)))]) + text[at + 1:]
	elif kind == 5:
		text = (text * 2)[:2000]
	else:
		text = b"".join(rng.choice(words) for _ in range(rng.randint(1, 4)))
	parts[i] = text[:2000]
	return tuple(parts)


def search_one(measure, name, piece, seconds, known):
	"""The worst inputs that were found for a parser and a size of pieces, and how many were tried."""
	parser, rng = PARSERS[name], random.Random(f"{name} {piece}")
	head, unit, tail = parser.plain
	# Each word alone behind the beginning of the plain input, and the known inputs.
	start = [(head, word, end) for word in parser.words for end in (b"", tail)] + [parser.plain] + known
	found, tried = [], 0
	plain = min(measure.ns(name, piece, parser.plain) for _ in range(5))
	end = time.monotonic() + seconds
	while start or time.monotonic() < end:
		parts = start.pop() if start else rng.choice(found)[1]
		for _ in range(0 if start else rng.randint(1, 3)):
			parts = mutate(rng, parser.words, parts)
		ratio, tried = measure.ns(name, piece, parts) / plain, tried + 1
		if len(found) < BEST or ratio > found[-1][0]:
			# Once more: it may have been the machine.
			ratio = min(ratio, measure.ns(name, piece, parts) / plain)
			found = sorted({x: (r, x) for r, x in [*found, (ratio, parts)]}.values(), reverse=True)[:BEST]
	return tried, found


def search(measure, path, seconds):
	known = read(path) if os.path.exists(path) else []
	lines = []
	for name, parser in PARSERS.items():
		for piece in parser.pieces:
			tried, found = search_one(measure, name, piece, seconds, [p for n, size, p in known if (n, size) == (name, piece)])
			parts = found[0][1]
			print(f"{name:9} {tried:6} inputs, pieces of {piece:4}: {measure.ns(name, piece, parts):8.1f} ns a byte, "
			      f"{measure.ratio(name, piece, parts):6.1f} x plain, {measure.growth(name, piece, parts):5.2f} x a quarter  {parts}", flush=True)
			lines.append(f"{name} {piece} {parts!r}\n")
	with open(path, "w", encoding="ascii") as file:
		file.write("# The worst inputs that work.py has found: a parser, the bytes of a piece, and (head, unit, tail).\n")
		file.writelines(lines)


def main(arguments):
	if arguments[:1] == ["check"] and len(arguments) == 3:
		check(Measure(arguments[1]), arguments[2])
	elif arguments[:1] == ["search"] and len(arguments) == 4:
		search(Measure(arguments[1]), arguments[2], float(arguments[3]))
	else:
		sys.exit(__doc__)


main(sys.argv[1:])
