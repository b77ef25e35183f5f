#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the gateway with HAProxy, nginx, Prosody, a bare relay and a bare echo.

run.sh calls this, and says how.
"""
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

PUBLISHED = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../conf/bench.svg')


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
    parser.add_argument('--publish', action='store_true')
    arguments = parser.parse_args()
    if arguments.publish and (arguments.short or arguments.only):
        parser.error('--publish takes a whole run')
    arguments.noisy = arguments.noisy or arguments.short
    arguments.rounds = arguments.rounds or (1 if arguments.short else 7)
    arguments.ms = arguments.ms or (100 if arguments.short else 400)
    arguments.only = [name for name in arguments.only.split(',') if name] or list(PARTS)
    for name in arguments.only:
        if name not in PARTS:
            parser.error(f'there is no part {name}; there are {", ".join(PARTS)}')
    return arguments


def describe(arguments):
    words = [f'{name} {text}' for name, text in versions(arguments.doab).items()]
    words.append(f'{len(os.sched_getaffinity(0))} cores')
    return ', '.join(words) + (', busy' if arguments.noisy else '')


def draw(bench, path, about):
    bars, growth, sizes = {}, {}, {}
    for key in bench.rows:
        part, line, sessions, text = key
        values = bench.values(key)
        if not values:
            continue
        figure = bench.figure(values)
        if part == 'round-trips':
            bars[line] = (figure, *report.quartiles(values))
            sizes.setdefault(line, {})[text] = figure
        elif part == 'growth':
            growth.setdefault(line, {})[sessions] = figure
        elif part == 'sizes':
            sizes.setdefault(line, {})[text] = figure
    chart.write(path, bars, growth, sizes if len({key[3] for key in bench.rows}) > 1 else {}, about)


def main():
    arguments = parse()
    n_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))
    about = describe(arguments)
    print(about)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, folder, make_certificates(folder))
        for name in arguments.only:
            of_part = list(PARTS[name](bench))
            report.print_part(bench, name, of_part)
            results += of_part
            write(bench, results, about)
        if arguments.publish:
            draw(bench, PUBLISHED, about)
    if arguments.short:
        return 0
    return report.print_verdict(results)


def write(bench, results, about):
    """After each part: an error in one of the next does not cost what is known."""
    arguments = bench.arguments
    if arguments.out:
        report.write_csv(bench, os.path.join(arguments.out, 'bench.csv'))
        report.write_results(results, os.path.join(arguments.out, 'bench-bounds.csv'))
        draw(bench, os.path.join(arguments.out, 'bench.svg'), about)


if __name__ == '__main__':
    sys.exit(main())
