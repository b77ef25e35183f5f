# SPDX-License-Identifier: MIT
"""Draws the CPU time of a round trip as an SVG.

All programs in bars, and how it grows with the sessions and with the stanzas, in curves. The
colours follow those of the reader's screen, light or dark.
"""
import math
from xml.sax.saxutils import escape

WIDTH, MARGIN = 860, 24
LEFT, ROW, BAR = 210, 24, 16  # bars: where they begin, how far apart they are, how thick
PLOT_HEIGHT, PLOT_GAP = 220, 70
BREAK = 0.93  # where the mark is in a bar that is longer than the picture

GROUPS = (
    ('BOSH, HTTP', 'bosh', (('doab bosh', 'Doab'), ('doab bosh-held', 'Doab, with a held request'),
                            ('haproxy http', 'HAProxy'), ('nginx http', 'nginx'),
                            ('prosody bosh', 'Prosody itself'), ('prosody bosh-held',
                                                                 'Prosody itself, held request'))),
    ('WebSocket', 'websocket', (('doab websocket', 'Doab'), ('haproxy websocket', 'HAProxy'),
                                ('prosody websocket', 'Prosody itself'))),
    ('TCP', 'other', (('relay', 'bare relay'), ('echo', 'bare echo'))),
)
CURVES = (
    ('doab bosh', 'bosh', 'Doab, BOSH'),
    ('doab bosh-held', 'held', 'Doab, held request'),
    ('doab websocket', 'websocket', 'Doab, WebSocket'),
    ('haproxy http', 'bosh dashed', 'HAProxy, HTTP'),
    ('haproxy websocket', 'websocket dashed', 'HAProxy, WebSocket'),
)
STYLE = '''
svg { --back: #fff; --text: #1f2328; --faint: #59636e; --grid: #d8dee4;
  --bosh: #0b6e99; --held: #7a4fb5; --websocket: #1a7f4b; --other: #a3adb8 }
@media (prefers-color-scheme: dark) {
  svg { --back: #0d1117; --text: #e6edf3; --faint: #9198a1; --grid: #2f363d;
    --bosh: #4cb5e0; --held: #b79be6; --websocket: #4cc38a; --other: #5b6570 }
}
text { fill: var(--text); font: 13px sans-serif }
.title { font-size: 16px; font-weight: 600 }
.group { font-weight: 600 }
.faint { fill: var(--faint); font-size: 11px }
.back { fill: var(--back) }
.grid { stroke: var(--grid); fill: none }
.spread { stroke: var(--text); stroke-width: 1.5 }
.bosh { fill: var(--bosh); stroke: var(--bosh) }
.held { fill: var(--held); stroke: var(--held) }
.websocket { fill: var(--websocket); stroke: var(--websocket) }
.other { fill: var(--other); stroke: var(--other) }
rect { stroke-width: 0 }
.curve { fill: none; stroke-width: 2 }
.dashed { stroke-dasharray: 5 4 }
'''


class Picture:
    def __init__(self):
        self.parts, self.y = [], MARGIN

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, kind='', anchor='start'):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
                 f'{escape(text)}</text>')

    def save(self, path):
        height = self.y + MARGIN
        with open(path, 'w', encoding='utf-8') as out:
            out.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
                      f'width="{WIDTH}" height="{height:.0f}">\n<style>{STYLE}</style>\n'
                      '<rect class="back" width="100%" height="100%" rx="6"/>\n')
            out.write('\n'.join(self.parts))
            out.write('\n</svg>\n')


def number(value):
    return f'{value:,.0f}' if value >= 100 else f'{value:.1f}'


def draw_bar(picture, label, kind, figure, low, high, scale):
    y, room = picture.y, WIDTH - MARGIN - LEFT - 60
    length = min(figure * scale, room)
    picture.text(LEFT - 10, y + BAR - 3, label, anchor='end')
    picture.add(f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}"/>')
    if figure * scale > room:
        x = LEFT + room * BREAK
        picture.add(f'<path class="back" d="M{x} {y - 1}l8 {BAR + 2}h6l-8 -{BAR + 2}z"/>')
    elif high > low:
        ends = [LEFT + min(value * scale, room) for value in (low, high)]
        picture.add(f'<path class="spread" d="M{ends[0]:.1f} {y + BAR / 2}H{ends[1]:.1f}"/>')
        length = max(length, ends[1] - LEFT)
    picture.text(LEFT + length + 7, y + BAR - 3, number(figure))
    picture.y += ROW


def draw_bars(picture, bars):
    """@bars: (figure, lower quartile, upper quartile) by the name of the line."""
    lengths = [figure for name, (figure, _, _) in bars.items() if not name.startswith('prosody')]
    most = max(lengths or [figure for figure, _, _ in bars.values()])
    scale = (WIDTH - MARGIN - LEFT - 60) / most * 0.85
    for title, kind, members in GROUPS:
        shown = [(name, label) for name, label in members if name in bars]
        if shown:
            picture.text(MARGIN, picture.y + BAR - 3, title, 'group')
        for name, label in shown:
            draw_bar(picture, label, kind if name.startswith('doab') else 'other', *bars[name],
                     scale)
        picture.y += 8


def between(value, low, high):
    """Where @value is on a logarithmic axis, from 0 to 1."""
    return math.log(value / low) / math.log(high / low)


def ticks(low, high):
    """1, 2 and 5 times the powers of ten."""
    values = [
        digit * 10**power for power in range(math.floor(math.log10(low)),
                                             math.ceil(math.log10(high)) + 1) for digit in (1, 2, 5)
    ]
    inside = [value for value in values if low <= value <= high]
    return inside if len(inside) <= 7 else [value for value in inside if math.log10(value) % 1 == 0]


def draw_axes(picture, box, title, x_names, y_range):
    x, y, width = box
    xs = sorted(x_names)
    picture.text(x, y - 14, title, 'group')
    for value in ticks(*y_range):
        at = y + PLOT_HEIGHT * (1 - between(value, *y_range))
        picture.add(f'<path class="grid" d="M{x} {at:.1f}h{width}"/>')
        picture.text(x - 6, at + 4, f'{value:,.0f}', 'faint', 'end')
    for value in xs:
        at = x + width * between(value, xs[0], xs[-1])
        picture.add(f'<path class="grid" d="M{at:.1f} {y + PLOT_HEIGHT}v5"/>')
        picture.text(at, y + PLOT_HEIGHT + 18, x_names[value], 'faint', 'middle')


def draw_plot(picture, box, title, curves, x_names):
    """@curves: for the name of a line, a figure by place on the horizontal axis."""
    x, y, width = box
    values = [value for curve in curves.values() for value in curve.values()]
    y_range = min(values) * 0.9, max(values) * 1.1
    xs = sorted(x_names)
    draw_axes(picture, box, title, x_names, y_range)
    for name, kind, _ in CURVES:
        points = [(x + width * between(place, xs[0], xs[-1]),
                   y + PLOT_HEIGHT * (1 - between(value, *y_range)))
                  for place, value in sorted(curves.get(name, {}).items())]
        if points:
            line = ' '.join(f'{a:.1f},{b:.1f}' for a, b in points)
            picture.add(f'<polyline class="curve {kind}" points="{line}"/>')
            picture.add(''.join(
                f'<circle class="{kind}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in points))


def draw_legend(picture):
    # About as wide as the words are.
    widths = [48 + 7 * len(label) for _, _, label in CURVES]
    gap = (WIDTH - 2 * MARGIN - sum(widths)) / (len(CURVES) - 1)
    for i, (_, kind, label) in enumerate(CURVES):
        x = MARGIN + sum(widths[:i]) + i * gap
        picture.add(f'<path class="curve {kind}" d="M{x:.1f} {picture.y - 4}h26"/>')
        picture.text(x + 32, picture.y, label)
    picture.y += 46


def size_name(n):
    return f'{n // 1024} KB' if n >= 1024 else f'{n} B'


def write(path, bars, growth, sizes, about):
    """@bars as draw_bars(), @growth and @sizes as draw_plot(). Each may be empty."""
    picture = Picture()
    picture.text(MARGIN, picture.y + 8, 'CPU time of a round trip, in microseconds', 'title')
    picture.text(
        MARGIN, picture.y + 28,
        '64 sessions, stanzas with 64 bytes of text, one worker; line: quartiles of the rounds',
        'faint')
    picture.y += 44
    if bars:
        draw_bars(picture, bars)
    plots = [(title, curves, name)
             for title, curves, name in (('by sessions', growth, '{:,}'.format),
                                         ('by bytes of text in a stanza', sizes, size_name))
             if curves]
    if plots:
        picture.y += 20
        draw_legend(picture)
        width = (WIDTH - 2 * MARGIN - PLOT_GAP) / 2 - 20
        for i, (title, curves, name) in enumerate(plots):
            places = {place for curve in curves.values() for place in curve}
            box = MARGIN + 30 + i * (width + PLOT_GAP), picture.y, width
            draw_plot(picture, box, title, curves, {place: name(place) for place in places})
        picture.y += PLOT_HEIGHT + 44
    picture.text(MARGIN, picture.y, about, 'faint')
    picture.save(path)
