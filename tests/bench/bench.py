#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the gateway with HAProxy, nginx, Prosody, a bare relay and a bare echo. run.sh calls this, and says how."""
import argparse
import os
import resource
import sys
import tempfile

import chart
import report
from measure import Bench
from parts import PARTS
from programs import make_certificates, versions


def parse():
	parser = argparse.ArgumentParser()
	parser.add_argument('--doab', required=True)
	parser.add_argument('--tools', required=True, help='the folder of peer and client')
	parser.add_argument('--short', action='store_true')
	parser.add_argument('--noisy', action='store_true')
	parser.add_argument('--only', default='', help='parts, with commas')
	parser.add_argument('--beside', help='another build of the gateway')
	parser.add_argument('--rounds', type=int)
	parser.add_argument('--ms', type=int)
	parser.add_argument('--out', help='the folder for bench.csv and bench.svg')
	arguments = parser.parse_args()
	arguments.noisy = arguments.noisy or arguments.short
	arguments.rounds = arguments.rounds or (1 if arguments.short else 7)
	arguments.ms = arguments.ms or (100 if arguments.short else 400)
	arguments.only = [name for name in arguments.only.split(',') if name] or list(PARTS)
	for name in arguments.only:
		if name not in PARTS:
			parser.error(f'there is no part {name}; there are {", ".join(PARTS)}')
	return arguments


def main():
	arguments = parse()
	n_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
	resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))
	about = ', '.join(f'{name} {text}' for name, text in versions(arguments.doab).items())
	print(about)
	results = []
	with tempfile.TemporaryDirectory() as folder:
		bench = Bench(arguments, folder, make_certificates(folder))
		for name in arguments.only:
			of_part = list(PARTS[name](bench))
			report.print_part(bench, name, of_part)
			results += of_part
	if arguments.out:
		report.write_csv(bench, os.path.join(arguments.out, 'bench.csv'))
		usual = {key[1]: bench.values(key) for key in bench.rows if key[0] == 'round-trips'}
		chart.write(os.path.join(arguments.out, 'bench.svg'), usual, about)
	if arguments.short:
		return 0
	return report.print_verdict(results)


if __name__ == '__main__':
	sys.exit(main())
