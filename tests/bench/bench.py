#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the gateway with HAProxy, nginx, a bare relay and a bare echo. run.sh calls this, and says how.

line   one program with one kind of load, for example "doab bosh"
cell   a number of sessions and a size of stanzas; the lines of a cell take turns, round after round
share  how long the program waited for a core, in parts of the time that it ran
"""
import argparse
import csv
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import chart
from programs import Doab, Echo, HAProxy, Nginx, Relay, find, versions

N_USUAL = 64  # sessions
TEXT_USUAL = 54  # bytes
SHARE_MAX = 0.3
ROUNDS_LEAST = 3
CROWD = 4000
N_WARM, N_IDLE = 200, 2000  # everything made only once exists with the first ones


class Bench:
	def __init__(self, arguments, folder):
		self.peer, self.client = (os.path.join(arguments.tools, name) for name in ('peer', 'client'))
		self.doab, self.folder, self.arguments = arguments.doab, folder, arguments
		self.rows = {}  # (line, sessions, text): a list of dictionaries, one a round

	def lines(self):
		"""The name, the load, and how to make the program."""
		all_lines = [
			('echo', 'echo', Echo, ()),
			('relay', 'echo', Relay, ()),
			('haproxy http', 'http', HAProxy, ('http',)),
			('haproxy websocket', 'blind', HAProxy, ('websocket',)),
			('nginx http', 'http', Nginx, ()),
		]
		for workers in (1, 2):
			name = 'doab' if workers == 1 else 'doab-2'
			all_lines += [(f'{name} {load}', load, Doab, (workers,)) for load in ('bosh', 'bosh-held', 'websocket')]
		return [line for line in all_lines if line[0].split()[0] not in ('haproxy', 'nginx') or find(line[0].split()[0])]

	def measure(self, program, load, sessions, text):
		words = [self.client, load, program.port, sessions, text, self.arguments.ms, *program.pids]
		done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, check=True)
		n, cpu, waited, wall, p50, p99 = map(float, done.stdout.split())
		return {'cpu_us': cpu / n, 'per_s': n / wall * 1e6, 'p50_us': p50, 'p99_us': p99, 'share': waited / max(cpu, 1)}

	def run_cell(self, sessions, text):
		print(f'{sessions} sessions, {text} bytes of text', file=sys.stderr)
		running = []
		try:
			for name, load, make, options in self.lines():
				program = make(self, name.replace(' ', '-'), *options)
				running.append((name, load, program))
				program.run()
			for i in range(self.arguments.rounds):
				# Each time in another order, so that nothing always follows the same.
				for name, load, program in running[i % len(running):] + running[:i % len(running)]:
					row = self.measure(program, load, sessions, text)
					self.rows.setdefault((name, sessions, text), []).append(row)
		finally:
			for _, _, program in running:
				program.stop()

	def good(self, key):
		"""The rounds that count; None where the program did not have its core. They keep their places."""
		rows = self.rows.get(key, [])
		counted = [row if self.arguments.noisy or row['share'] <= SHARE_MAX else None for row in rows]
		enough = sum(row is not None for row in counted) >= min(ROUNDS_LEAST, self.arguments.rounds)
		return counted if enough else []

	def ratio(self, key, base):
		"""The median of what one line costs in parts of the other in the same round; None if that is not known."""
		pairs = [(a, b) for a, b in zip(self.good(key), self.good(base)) if a and b]
		return statistics.median(a['cpu_us'] / b['cpu_us'] for a, b in pairs) if pairs else None

	def hold(self, program, load, sessions):
		words = [self.client, load, program.port, sessions, TEXT_USUAL, 0]
		child = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		if child.stdout.readline() != b'open\n':
			raise SystemExit('the sessions do not open')
		time.sleep(0.5)
		return child

	def idle_kb(self, load):
		program = Doab(self, 'idle', 1)
		try:
			program.run()
			with self.hold(program, load, N_WARM):
				before = program.resident_kb()
				with self.hold(program, load, N_IDLE):
					return (program.resident_kb() - before) / N_IDLE
		finally:
			program.stop()

	def crowd(self, load):
		"""The memory after a crowd in parts of that before it."""
		program = Doab(self, 'crowd', 1)
		try:
			program.run()
			before = program.resident_kb()
			self.measure(program, load, CROWD, TEXT_USUAL)
			for _ in range(40):
				time.sleep(0.5)
				left = program.resident_kb() / before
				if left <= 1.3:
					break
			return left
		finally:
			program.stop()


def bounds(bench, sizes):
	"""What is compared, the figure (None: not known), and the bound."""
	def at(name, sessions=N_USUAL, text=TEXT_USUAL):
		return (name, sessions, text)

	for load in ('bosh', 'bosh-held'):
		yield f'{load} / haproxy http', bench.ratio(at(f'doab {load}'), at('haproxy http')), 1.1
	yield 'websocket / haproxy websocket', bench.ratio(at('doab websocket'), at('haproxy websocket')), 1.0
	yield 'websocket / relay', bench.ratio(at('doab websocket'), at('relay')), 1.35
	for load in ('bosh', 'bosh-held', 'websocket'):
		yield f'{load}: two workers / one', bench.ratio(at(f'doab-2 {load}'), at(f'doab {load}')), 1.05
		base = 'haproxy websocket' if load == 'websocket' else 'haproxy http'
		many, few = (bench.ratio(at(f'doab {load}', n), at(base, n)) for n in (CROWD, N_USUAL))
		if at(base, CROWD) in bench.rows:
			yield f'{load}: growth to {CROWD} sessions / HAProxy\'s', many and few and many / few, 1.05
	for text in sizes:
		if text >= 4096:
			for load, base in (('bosh', 'haproxy http'), ('websocket', 'haproxy websocket')):
				yield (f'{load}, {text // 1024} KB / {base}',
					bench.ratio(at(f'doab {load}', text=text), at(base, text=text)), 1.5)
	if bench.arguments.memory:
		yield 'idle bosh-held, KB', bench.idle_kb('bosh-held'), 6
		yield 'idle websocket, KB', bench.idle_kb('websocket'), 5
		yield f'after {CROWD} of bosh-held / before', bench.crowd('bosh-held'), 1.3
		yield f'after {CROWD} of websocket / before', bench.crowd('websocket'), 1.3


def quartiles(values):
	values = sorted(values)
	return values[len(values) // 4], statistics.median(values), values[len(values) * 3 // 4]


def print_cells(bench):
	print(f'{"":20}{"sessions":>9}{"text":>8}{"CPU us":>9}{"(quartiles)":>18}{"x echo":>8}{"per s":>9}'
		f'{"p50 us":>8}{"p99 us":>8}')
	for key in bench.rows:
		rows = [row for row in bench.good(key) if row]
		print(f'{key[0]:20}{key[1]:9}{key[2]:8}', end='')
		if not rows:
			print('  left out: it did not have its core')
			continue
		low, middle, high = quartiles(row['cpu_us'] for row in rows)
		times_echo = bench.ratio(key, ('echo', *key[1:]))
		others = [statistics.median(row[name] for row in rows) for name in ('per_s', 'p50_us', 'p99_us')]
		print(f'{middle:9.1f}{f"{low:.1f} - {high:.1f}":>18}{times_echo or 0:8.1f}{others[0]:9.0f}'
			f'{others[1]:8.0f}{others[2]:8.0f}')


def print_bounds(results, judges):
	"""Returns whether all bounds are met."""
	n_failed = 0
	for what, figure, bound in results:
		failed = figure is not None and figure > bound
		n_failed += failed
		verdict = 'not known' if figure is None else '' if not judges else 'FAILED' if failed else 'ok'
		print(f'{what:50}{figure if figure is not None else float("nan"):8.2f}   at most {bound:<6}{verdict}')
	return n_failed == 0


def write_csv(bench, path):
	with open(path, 'w', encoding='ascii', newline='') as out:
		writer = csv.writer(out)
		writer.writerow(['line', 'sessions', 'text', 'round', 'cpu_us', 'per_s', 'p50_us', 'p99_us', 'share'])
		for key, rows in bench.rows.items():
			for i, row in enumerate(rows):
				writer.writerow([*key, i, *(f'{row[name]:.3f}' for name in row)])


def parse():
	parser = argparse.ArgumentParser()
	parser.add_argument('--doab', required=True)
	parser.add_argument('--tools', required=True, help='the folder of peer and client')
	parser.add_argument('--short', action='store_true')
	parser.add_argument('--noisy', action='store_true')
	parser.add_argument('--rounds', type=int)
	parser.add_argument('--ms', type=int)
	parser.add_argument('--sessions', help='numbers of sessions, with commas')
	parser.add_argument('--texts', help='bytes of text, with commas')
	parser.add_argument('--out', help='the folder for bench.csv and bench.svg')
	arguments = parser.parse_args()
	arguments.noisy = arguments.noisy or arguments.short
	arguments.memory = not arguments.short
	arguments.rounds = arguments.rounds or (1 if arguments.short else 9)
	arguments.ms = arguments.ms or (200 if arguments.short else 500)
	return arguments


def numbers(text, usual):
	return [int(word) for word in text.split(',') if word] if text is not None else usual


def main():
	arguments = parse()
	n_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
	resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))
	sessions = numbers(arguments.sessions, [] if arguments.short else [16, 512, CROWD])
	sizes = numbers(arguments.texts, [] if arguments.short else [1024, 4096, 65536, 262144])
	about = ', '.join(f'{name} {text}' for name, text in versions(arguments.doab).items())
	with tempfile.TemporaryDirectory() as folder:
		bench = Bench(arguments, folder)
		bench.run_cell(N_USUAL, TEXT_USUAL)
		for n in sessions:
			bench.run_cell(n, TEXT_USUAL)
		for text in sizes:
			bench.run_cell(N_USUAL, text)
		print(about)
		print_cells(bench)
		met = print_bounds(bounds(bench, sizes), not arguments.short)
	if arguments.out:
		write_csv(bench, os.path.join(arguments.out, 'bench.csv'))
		usual = {key[0]: [row['cpu_us'] for row in bench.good(key) if row] for key in bench.rows
			if key[1:] == (N_USUAL, TEXT_USUAL)}
		chart.write(os.path.join(arguments.out, 'bench.svg'), usual, f'{N_USUAL} sessions; {about}')
	return 0 if met or arguments.short else 1


if __name__ == '__main__':
	sys.exit(main())
