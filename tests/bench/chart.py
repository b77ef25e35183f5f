# SPDX-License-Identifier: MIT
"""Draws the CPU time of a round trip of each line, with its quartiles, as an SVG."""
import statistics
from xml.sax.saxutils import escape

WIDTH, ROW, LEFT, RIGHT, TOP = 760, 26, 170, 70, 44


def bar(y, name, values, scale):
	values = sorted(values)
	middle = statistics.median(values)
	low, high = values[len(values) // 4], values[len(values) * 3 // 4]
	color = '#2a6f97' if name.startswith('doab') else '#a9b4bd'
	return (
		f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
		f'<rect x="{LEFT}" y="{y}" width="{middle * scale:.1f}" height="18" fill="{color}"/>'
		f'<path d="M{LEFT + low * scale:.1f} {y + 9}H{LEFT + high * scale:.1f}" stroke="#222" stroke-width="2"/>'
		f'<text x="{LEFT + max(middle, high) * scale + 6:.1f}" y="{y + 13}">{middle:.1f}</text>\n')


def write(path, lines, about):
	"""@lines: a list of microseconds for each name. Lines without any are left out."""
	lines = {name: values for name, values in lines.items() if values}
	if not lines:
		return
	height = TOP + ROW * len(lines) + 30
	most = max(max(statistics.median(values), sorted(values)[len(values) * 3 // 4]) for values in lines.values())
	scale = (WIDTH - LEFT - RIGHT) / most
	with open(path, 'w', encoding='utf-8') as out:
		out.write(
			f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
			'font-size="13">\n<rect width="100%" height="100%" fill="#fff"/>\n'
			f'<text x="16" y="26" font-size="15">CPU time of a round trip, microseconds (median, quartiles)</text>\n')
		for i, (name, values) in enumerate(lines.items()):
			out.write(bar(TOP + ROW * i, name, values, scale))
		out.write(f'<text x="16" y="{height - 10}" font-size="11" fill="#555">{escape(about)}</text>\n</svg>\n')
