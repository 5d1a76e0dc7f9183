"""A report as one HTML file: no script, nothing loaded from anywhere, every text escaped; readable on paper as well.

The research line stands at the top and, in print, below every page (as a table's foot, which is repeated on each). A
content security policy in the file forbids what it does not need.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from engine.evaluation.report_axis import Axis
from engine.evaluation.report_blocks import Bar, Block, Chart, Document, Heading, Table, Text

_STYLE = """
:root { --ink: #16202a; --grey: #5b6770; --rule: #c9d0d6; --wash: #f4f6f7; --alert: #9c2f12; --mark: #1d5c8a; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 28px 72px; }
header { border-bottom: 1px solid var(--rule); padding-bottom: 14px; margin-bottom: 10px; }
h1 { font-size: 27px; line-height: 1.25; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 34px 0 8px; padding-top: 10px; border-top: 1px solid var(--rule); }
h3 { font-size: 15px; margin: 20px 0 6px; overflow-wrap: anywhere; }
p { margin: 6px 0; max-width: 78ch; }
.subtitle, .note { color: var(--grey); }
.note { font-size: 13px; }
.warning { border-left: 4px solid var(--alert); background: #fdf4f1; padding: 7px 12px; max-width: none; }
.research { font-weight: 600; color: var(--alert); margin: 8px 0 0; }
.wide { overflow-x: auto; margin: 8px 0; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
td { white-space: nowrap; }
td.text { white-space: normal; min-width: 20em; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; overflow-wrap: break-word; max-width: 190px; }
tbody th { font-weight: 500; max-width: 340px; overflow-wrap: break-word; }
tbody tr:hover { background: var(--wash); }
figure { margin: 10px 0 4px; }
figcaption { font-size: 13px; color: var(--grey); }
svg { max-width: 100%; height: auto; display: block; }
.foot { display: none; }
@page { margin: 16mm 14mm; }
@media print {
  body { font-size: 10pt; display: table; width: 100%; }
  main { display: table-row-group; }
  .foot { display: table-footer-group; break-inside: avoid; font-size: 8pt; color: var(--alert); }
  table { font-size: 8.5pt; } .wide { overflow: visible; }
  tbody th { max-width: none; }
  h2, h3 { break-after: avoid; } tr, figure { break-inside: avoid; }
}
"""


def to_html(document: Document) -> str:
    """The document as one file's text."""
    body = "\n".join(line for block in document.blocks for line in _block(block))
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<title>{escape(document.title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<header>
<h1>{escape(document.title)}</h1>
<p class="subtitle">{escape(document.subtitle)}</p>
<p class="research">{escape(document.line)}</p>
</header>
{body}
</main>
<p class="foot">{escape(document.line)}</p>
</body>
</html>
"""


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        yield f"<h{block.level + 1}>{escape(block.text)}</h{block.level + 1}>"
    elif isinstance(block, Text):
        kind = "" if block.style == "plain" else f' class="{block.style}"'
        yield f"<p{kind}>{escape(block.text)}</p>"
    elif isinstance(block, Table):
        yield from _table(block)
    else:
        yield from _chart(block)


def _table(table: Table) -> Iterator[str]:
    yield '<div class="wide"><table>'
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    yield f"<thead><tr>{head}</tr></thead><tbody>"
    for name, *cells in table.rows:
        rest = "".join(f"<td{_class(cell)}>{escape(cell)}</td>" for cell in cells)
        yield f'<tr><th scope="row">{escape(name)}</th>{rest}</tr>'
    yield "</tbody></table></div>"


def _class(cell: str) -> str:
    """A sentence in a cell may be broken, a figure may not."""
    return ' class="text"' if len(cell) > _FIGURE else ""


_FIGURE = 32
_NAMES, _WIDTH, _ROW, _TOP, _BOTTOM = 250, 760, 24, 12, 30


def _chart(chart: Chart) -> Iterator[str]:
    """Dots with their intervals around zero, as inline SVG."""
    axis = Axis.of(chart, _NAMES, _WIDTH - 20)
    height = _TOP + _ROW * len(chart.bars) + _BOTTOM
    foot = height - _BOTTOM
    yield f'<figure><svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" font-size="12" fill="#16202a">'
    yield f"<title>{escape(chart.title)}</title>"
    for tick in axis.ticks:
        at = axis.at(tick)
        ink = "#16202a" if tick == 0 else "#c9d0d6"
        yield f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 6}" y2="{foot}" stroke="{ink}"/>'
        yield f'<text x="{at:.1f}" y="{foot + 16}" text-anchor="middle" fill="#5b6770">{axis.words(tick)}</text>'
    for number, bar in enumerate(chart.bars):
        yield from _bar(bar, axis, _TOP + _ROW * (number + 0.5))
    yield f"</svg><figcaption>{escape(chart.title)}</figcaption></figure>"


def _bar(bar: Bar, axis: Axis, middle: float) -> Iterator[str]:
    low, value, high = axis.at(bar.low), axis.at(bar.value), axis.at(bar.high)
    fill = "#1d5c8a" if bar.clear else "#ffffff"
    yield f'<text x="{_NAMES - 14}" y="{middle + 4:.1f}" text-anchor="end">{escape(bar.label)}</text>'
    y = f"{middle:.1f}"
    yield f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="#1d5c8a" stroke-width="2"/>'
    yield f'<circle cx="{value:.1f}" cy="{middle:.1f}" r="4.5" fill="{fill}" stroke="#1d5c8a" stroke-width="2"/>'
