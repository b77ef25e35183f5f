# SPDX-License-Identifier: MIT
"""The inputs of the measurements, made of their templates (template.h) without the program that measures them.

Not the names that collide in a table, nor pointers of the DNS.
"""
import re

BYTES = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\"}
TOKEN = re.compile(r"\\\{(\d+)\*|(\})|\\([#~])(\d)|\\x(..)|\\(.)|(.)", re.DOTALL)


def number(n, width):
	"""In letters: "aab" is 1."""
	return bytes(ord("a") + n // 26**place % 26 for place in reversed(range(width)))


def parse(tokens):
	"""What a text is made of, up to its "}": bytes, (kind, width) of a number, or (times, text)."""
	text = []
	for times, end, kind, width, digits, name, letter in tokens:
		if end:
			break
		if times:
			text.append((int(times), parse(tokens)))
		elif kind:
			text.append((kind, int(width)))
		else:
			text.append(bytes([int(digits, 16)]) if digits else BYTES[name] if name else letter.encode("latin-1"))
	return text


def write(text, i, n):
	"""As the one after @i of @n."""
	out = b""
	for part in text:
		if isinstance(part, bytes):
			out += part
		elif isinstance(part[0], int):
			out += b"".join(write(part[1], inner, part[0]) for inner in range(part[0]))
		else:
			out += number(i if part[0] == "#" else n - 1 - i, part[1])
	return out


def expand(parts, size):
	"""The longest input of at most @size bytes of a head, units and a tail."""
	head, unit, tail = (parse(TOKEN.findall(part).__iter__()) for part in parts)
	head, tail = write(head, 0, 1), write(tail, 0, 1)
	n = (size - len(head) - len(tail)) // len(write(unit, 0, 1))
	return head + b"".join(write(unit, i, n) for i in range(n)) + tail
