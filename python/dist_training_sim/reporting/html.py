"""A report as one HTML page that needs nothing else: styles and figures inside, no scripts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .sections import Section, Table, sections, summary

if TYPE_CHECKING:
    from ..visualization import Visualizer
    from .make import Report

__all__ = ["fragment", "page"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body><main>
<h1>{title}</h1>
<p class="answer">{answer}</p>
{body}
<footer>Written by dist_training_sim {version}. Predicted, not measured.</footer>
</main></body></html>
"""
_STYLE = """
:root {{ --ground: {ground}; --ink: {ink}; --muted: {muted}; --line: {line}; --mark: #0072B2; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--ground); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }}
main {{ max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }}
h1 {{ font-size: 1.6rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.15rem; margin: 2.2rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }}
p.answer {{ font-size: 1.1rem; border-left: 4px solid var(--mark); padding-left: .8rem; margin: 0 0 1rem; }}
.wide {{ overflow-x: auto; margin: .6rem 0; }}
figure {{ margin: .8rem 0; }}
figure svg {{ display: block; width: 100%; min-width: 40rem; max-width: 60rem; height: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }}
th {{ color: var(--muted); font-weight: 600; }}
.number {{ text-align: right; white-space: nowrap; }}
li {{ overflow-wrap: anywhere; font-size: .9rem; }}
footer {{ margin-top: 2.5rem; color: var(--muted); font-size: .85rem; }}
@media print {{ figure svg {{ min-width: 0; }} h2 {{ break-after: avoid; }} figure {{ break-inside: avoid; }} }}
"""


def page(report: Report, theme: str) -> str:
    """The whole page; `theme` is that of the figures and the page."""
    from .. import __version__
    from ..visualization import Visualizer
    from ..visualization.style import theme_named

    look, vis = theme_named(theme), Visualizer(theme)
    style = _STYLE.format(ground=look.background, ink=look.text, muted=look.muted, line=look.grid)
    body = "\n".join(_section(section, vis, number) for number, section in enumerate(sections(report)))
    title = escape(f"{report.result.model} on {report.result.cluster_title}")
    return _PAGE.format(
        title=title, style=style, answer=escape(summary(report)), body=body, version=escape(__version__)
    )


def fragment(report: Report) -> str:
    """Summary and tables for a notebook, without figures."""
    parts = [f"<p><b>{escape(summary(report))}</b></p>"]
    for section in sections(report):
        if section.tables:
            parts += [f"<h4>{escape(section.title)}</h4>", *map(_table, section.tables)]
    return "\n".join(parts)


def _section(section: Section, vis: Visualizer, number: int) -> str:
    from ..visualization.files import figure_svg

    parts = [f"<section><h2>{escape(section.title)}</h2>"]
    parts += [f"<p>{escape(text)}</p>" for text in section.text]
    for i, draw in enumerate(section.figures):
        svg = figure_svg(draw(vis), salt=f"{number}.{i}", text=True)
        parts.append(f'<figure class="wide" role="img" aria-label="{escape(section.title)}">{svg}</figure>')
    parts += [f'<div class="wide">{_table(table)}</div>' for table in section.tables]
    if section.items:
        parts.append("<ul>" + "".join(f"<li>{escape(item)}</li>" for item in section.items) + "</ul>")
    return "\n".join([*parts, "</section>"])


def _table(table: Table) -> str:
    def row(tag: str, cells: list[str]) -> str:
        looks = ["", *(' class="number"' if table.figures else "" for _ in cells[1:])]
        marked = (f"<{tag}{look}>{escape(cell)}</{tag}>" for look, cell in zip(looks, cells, strict=True))
        return f"<tr>{''.join(marked)}</tr>"

    head = f"<thead>{row('th', list(table.head))}</thead>" if any(table.head) else ""
    return f"<table>{head}<tbody>{''.join(row('td', list(cells)) for cells in table.rows)}</tbody></table>"
