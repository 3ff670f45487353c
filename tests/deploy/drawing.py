"""Draws a dashboard's panels as a page: what Prometheus answered, line by line. No data is drawn as none."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from script.dashboards import Dashboard, Panel

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 560, 190, 52, 20, 8
COLOURS = (
    "#2563eb",
    "#ea580c",
    "#16a34a",
    "#9333ea",
    "#0891b2",
    "#dc2626",
    "#ca8a04",
    "#64748b",
    "#db2777",
    "#65a30d",
)
LINES_MAX = 10
UNITS = {"s": " s", "ops": " /s", "percentunit": "", "bytes": " B", "short": ""}
STYLE = """
body { margin: 0; padding: 18px; background: #f1f5f9; font: 13px/1.4 system-ui, sans-serif; color: #0f172a; width: 1220px }
h1 { font-size: 19px; margin: 0 0 2px } p { margin: 0 0 12px; color: #475569 }
main { display: grid; grid-template-columns: repeat(4, 1fr); gap: 10px }
section { background: #fff; border: 1px solid #cbd5e1; border-radius: 6px; padding: 8px 10px; grid-column: span 2 }
section.stat { grid-column: span 1 } h2 { font-size: 13px; margin: 0 0 4px; font-weight: 600 }
.number { font-size: 30px; font-weight: 650; padding: 10px 0 }
ul { list-style: none; margin: 2px 0 0; padding: 0; font-size: 11.5px }
li { display: inline-block; margin-right: 12px; color: #334155 }
li i { display: inline-block; width: 9px; height: 9px; margin-right: 4px }
text { font: 10.5px system-ui, sans-serif; fill: #64748b }
"""


@dataclass(frozen=True)
class Drawn:
    """A line: its name, and its points (second, value)."""

    name: str
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        return next((value for _, value in reversed(self.points) if math.isfinite(value)), math.nan)

    @property
    def most(self) -> float:
        return max((value for _, value in self.points if math.isfinite(value)), default=math.nan)


Answers = Mapping[str, Sequence[Drawn]]
"""A panel's title -> its lines."""


def page(dashboard: Dashboard, answers: Answers, about: str) -> str:
    panels = "".join(_panel(panel, answers.get(panel.title, ())) for panel in dashboard.panels)
    title = html.escape(dashboard.title)
    head = f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><h1>{title}</h1><p>{html.escape(about)}</p>"
    return f"{head}<main>{panels}</main>"


def said(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "-"
    if unit == "percentunit":
        return f"{100 * value:.1f} %"
    if unit == "s" and abs(value) < 1:
        return f"{1000 * value:.0f} ms"
    if unit == "bytes":
        return f"{value / 1e6:,.0f} MB"
    return f"{value:.3g}{UNITS[unit]}"


def _panel(panel: Panel, lines: Sequence[Drawn]) -> str:
    title = f"<h2>{html.escape(panel.title)}</h2>"
    if panel.stat:
        value = math.nan
        if lines:
            # How many there were, and how long it takes now.
            value = lines[0].most if panel.unit == "short" else lines[0].last
        return f"<section class=stat>{title}<div class=number>{said(value, panel.unit)}</div></section>"
    shown = sorted(lines, key=lambda line: -(line.most if math.isfinite(line.most) else 0.0))[:LINES_MAX]
    if not shown:
        return f"<section>{title}<svg width={WIDTH} height={HEIGHT}><text x=240 y=95>no data</text></svg></section>"
    names = "".join(_named(panel, line, COLOURS[at % len(COLOURS)]) for at, line in enumerate(shown))
    return f"<section>{title}{_chart(panel, shown)}<ul>{names}</ul></section>"


def _named(panel: Panel, line: Drawn, colour: str) -> str:
    told = f"{html.escape(line.name)}, up to {said(line.most, panel.unit)}"
    return f"<li><i style='background:{colour}'></i>{told}</li>"


def _chart(panel: Panel, lines: Sequence[Drawn]) -> str:
    times = sorted({at_s for line in lines for at_s, _ in line.points})
    first, last = times[0], max(times[-1], times[0] + 1)
    values = [{at_s: value for at_s, value in line.points if math.isfinite(value)} for line in lines]
    tops = [
        sum(each.get(at_s, 0.0) for each in values)
        if panel.stacked
        else max(each.get(at_s, 0.0) for each in values)
        for at_s in times
    ]
    most = max(tops) * 1.08 or 1.0

    def x(at_s: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 4) * (at_s - first) / (last - first), 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most), 1)

    drawn = "".join(
        f"<line x1={LEFT} x2={WIDTH} y1={y(most * part)} y2={y(most * part)} stroke='#e2e8f0'/>"
        f"<text x={LEFT - 6} y={y(most * part) + 4} text-anchor=end>{said(most * part, panel.unit)}</text>"
        for part in (0.0, 0.25, 0.5, 0.75, 0.96)
    )
    drawn += "".join(
        f"<text x={x(first + (last - first) * part)} y={HEIGHT - 5} text-anchor=middle>{(last - first) * part:.0f} s</text>"
        for part in (0.05, 0.25, 0.5, 0.75, 0.96)
    )
    below = dict.fromkeys(times, 0.0)
    for at, each in enumerate(values):
        colour = COLOURS[at % len(COLOURS)]
        if panel.stacked:
            upper = {at_s: below[at_s] + each.get(at_s, 0.0) for at_s in times}
            edge = [f"{x(at_s)},{y(upper[at_s])}" for at_s in times] + [
                f"{x(at_s)},{y(below[at_s])}" for at_s in reversed(times)
            ]
            drawn += f"<polygon points='{' '.join(edge)}' fill='{colour}' fill-opacity=0.75 />"
            below = upper
        else:
            points = " ".join(f"{x(at_s)},{y(value)}" for at_s, value in sorted(each.items()))
            drawn += f"<polyline points='{points}' fill=none stroke='{colour}' stroke-width=1.8 />"
    return f"<svg width={WIDTH} height={HEIGHT}>{drawn}</svg>"
