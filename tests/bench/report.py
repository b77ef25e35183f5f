# SPDX-License-Identifier: MIT
"""Prints the table, and writes it as CSV."""
import csv
import statistics


def quartiles(values):
    values = sorted(values)
    return values[len(values) // 4], values[len(values) * 3 // 4]


def print_part(bench, part, results):
    print(f'\n{part}')
    if any(key[0] == part for key in bench.rows):
        print_lines(bench, part)
    for result in results:
        print_result(result, bench.arguments.short)


def print_lines(bench, part):
    print(f'  {"":28}{"sessions":>9}{"text":>8}{"CPU us":>9}{"(quartiles)":>18}'
          f'{"per s":>9}{"p50 us":>8}{"p99 us":>8}')
    for key in bench.rows:
        if key[0] == part:
            print_line(bench, key)


def print_line(bench, key):
    print(f'  {key[1]:28}{key[2]:9}{key[3]:8}', end='')
    if not bench.good(key):
        print('  left out: it did not have its core')
        return
    values = bench.values(key)
    low, high = quartiles(values)
    per_s, p50, p99, moved = (statistics.median(bench.values(key, what))
                              for what in ('per_s', 'p50_us', 'p99_us', 'moved'))
    print(f'{bench.figure(values):9.1f}{f"{low:.1f} - {high:.1f}":>18}{per_s:9.0f}{p50:8.0f}'
          f'{p99:8.0f}{f"  {moved:.0f} % moved" if moved else ""}')


def verdict(result):
    if result.figure is None:
        return 'not known'
    if result.bound is None:
        return 'not reached' if result.aim and result.figure > result.aim else ''
    return 'ok' if result.figure <= result.bound else 'FAILED'


def print_result(result, is_short):
    figure = '-' if result.figure is None else f'{result.figure:.2f}'
    spread = ''
    if len(result.values) > 1:
        low, high = quartiles(result.values)
        spread = f'({low:.2f} - {high:.2f})'
    bound = result.unit
    if result.bound:
        bound = f'at most {result.bound} {result.unit}'
    elif result.aim:
        bound = f'aim {result.aim} {result.unit}'
    word = '' if is_short else verdict(result)
    print(f'  {result.what:66}{figure:>8} {spread:18}{bound:16}{word}'.rstrip())


def print_verdict(results):
    """Returns the status of the program."""
    for word, status in (('FAILED', 1), ('not known', 2)):
        lines = [result.what for result in results if result.bound and verdict(result) == word]
        if lines:
            print(f'\n{word}: {"; ".join(lines)}')
            return status
    return 0


def write_csv(bench, path):
    with open(path, 'w', encoding='ascii', newline='') as out:
        writer = csv.writer(out)
        writer.writerow([
            'part', 'line', 'sessions', 'text', 'round', 'cpu_us', 'per_s', 'p50_us', 'p99_us',
            'moved', 'share'
        ])
        for key, rows in bench.rows.items():
            for i, row in enumerate(rows):
                writer.writerow([*key, i, *(f'{row[name]:.3f}' for name in row)])


def write_results(results, path):
    with open(path, 'w', encoding='ascii', newline='') as out:
        writer = csv.writer(out)
        writer.writerow(['what', 'figure', 'bound', 'unit', 'verdict'])
        for result in results:
            figure = '' if result.figure is None else f'{result.figure:.3f}'
            writer.writerow([result.what, figure, result.bound or '', result.unit, verdict(result)])
