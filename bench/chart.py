"""Charts of what was measured, as SVG that stands by itself, alone or in a page. Called by every benchmark."""

from collections.abc import Mapping, Sequence
from math import floor, log10
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from fraud_rules.backtest.markup import Element, e, to_html

_WIDTH: Final = 760.0
_LEFT: Final = 190.0
_BAR: Final = 26.0
_ROUND: Final = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)
_COLOURS: Final = ("#2f6fb4", "#d9822b", "#3f9a5f", "#8a5fb0", "#7c8792", "#c2453c")
_STYLE: Final = """
svg { font: 13px system-ui, sans-serif; fill: #1d2733; background: #fff; }
.title { font-size: 15px; font-weight: 600; } .soft { fill: #66717d; } .grid { stroke: #d5dbe1; } .middle { text-anchor:
middle; } .end { text-anchor: end; } .line { fill: none; stroke-width: 2.5; }
@media (prefers-color-scheme: dark) { svg { fill: #e6ebf0; background: #151b22; } .soft { fill: #98a4b0; }
.grid { stroke: #36414c; } }
"""
__all__ = ["Element", "Series", "bars", "check_name", "lines", "nice", "number", "write"]
Series = Mapping[str, Sequence[float | None]]
"""Values by name; None where one is missing."""


def bars(title: str, values: Mapping[str, Mapping[str, float]], unit: str) -> Element:
    """Horizontal bars, each of one part or of several that add up.

    Args:
        values: The parts of each bar by name, by the bar's name.
    """
    names = list(dict.fromkeys(name for parts in values.values() for name in parts))
    top = max((sum(parts.values()) for parts in values.values()), default=0.0) or 1.0
    drawn: list[Element] = [_text(title, 0, 18, "title")]
    drawn += _legend(names, 38) if len(names) > 1 else []
    y = 50.0 if len(names) > 1 else 34.0
    for label, parts in values.items():
        drawn.append(_text(label, _LEFT - 10, y + 17, "end"))
        x = _LEFT
        for name, value in parts.items():
            width = (_WIDTH - _LEFT - 110) * value / top
            tip = e("title", f"{label}, {name}: {number(value)} {unit}")
            drawn.append(e("rect", tip, x=x, y=y, width=width, height=_BAR - 4, fill=_colour(names, name)))
            x += width
        drawn.append(_text(f"{number(sum(parts.values()))} {unit}", x + 6, y + 16, "soft"))
        y += _BAR
    return _svg(title, y + 12, drawn)


def lines(title: str, places: Sequence[str], series: Series, unit: str, x_name: str = "") -> Element:
    """Lines over places at even distances, from zero up."""
    high, bottom, left, right = 220.0, 280.0, 80.0, _WIDTH - 20
    names = list(series)
    top = nice(max((value for values in series.values() for value in values if value is not None), default=0.0))
    step = (right - left) / max(1, len(places) - 1)
    drawn: list[Element] = [_text(title, 0, 18, "title"), *_legend(names, 38)]
    for quarter in range(5):
        y = bottom - high * quarter / 4
        drawn.append(e("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        tick = f"{number(top * quarter / 4)} {unit if quarter == 4 else ''}".rstrip()
        drawn.append(_text(tick, left - 8, y + 4, "soft end"))
    every = max(1, len(places) // 12)
    for place in range(0, len(places), every):
        drawn.append(_text(places[place], left + place * step, bottom + 18, "soft middle"))
    drawn.append(_text(x_name, (left + right) / 2, bottom + 38, "soft middle"))
    for name, values in series.items():
        spots = [(left + at * step, bottom - high * one / top, one) for at, one in enumerate(values) if one is not None]
        points, colour = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in spots), _colour(names, name)
        drawn.append(e("polyline", points=points, class_="line", stroke=colour))
        drawn += [
            e("circle", e("title", f"{name}: {number(one)} {unit}"), cx=x, cy=y, r=3.5, fill=colour)
            for x, y, one in spots
        ]
    return _svg(title, bottom + 50, drawn)


def write(path: Path, title: str, charts: Sequence[Element]) -> None:
    """Writes charts, one below the other, as `.svg` or as a page in `.html`.

    Raises:
        ValueError: The file's name ends in neither; see `check_name`.
    """
    check_name(path)
    if path.suffix == ".html":
        head = e("head", e("meta", charset="utf-8"), e("title", title), e("style", _STYLE))
        path.write_text(to_html(e("html", head, e("body", e("h1", title), *charts), lang="en")), encoding="utf-8")
        return
    y = 16.0
    for chart in charts:
        chart.set("x", "16")
        chart.set("y", f"{y:.0f}")
        y += float(chart.get("height", "0")) + 16
    box = {"viewBox": f"0 0 {_WIDTH + 32:.0f} {y:.0f}", "xmlns": "http://www.w3.org/2000/svg"}
    root = e("svg", e("title", title), e("style", _STYLE), *charts, **box)
    path.write_text(ElementTree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


def check_name(path: Path) -> None:
    """Raises ValueError where a chart cannot be written under this name."""
    if path.suffix not in (".svg", ".html"):
        raise ValueError(f"{path}: a chart is an .svg or an .html file")


def nice(value: float) -> float:
    """Returns the next number that is no less and has round quarters; 1 for nothing."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(value))
    return next(unit * factor for factor in _ROUND if unit * factor >= value * 0.999_999)


def number(value: float) -> str:
    """Writes a number with as many digits as people compare."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _legend(names: Sequence[str], y: float) -> list[Element]:
    drawn, x = [], 0.0
    for name in names:
        drawn.append(e("rect", x=x, y=y - 10, width=11, height=11, fill=_colour(names, name)))
        drawn.append(_text(name, x + 16, y, "soft"))
        x += 34 + 7.2 * len(name)
    return drawn


def _colour(names: Sequence[str], name: str) -> str:
    return _COLOURS[names.index(name) % len(_COLOURS)]


def _text(text: str, x: float, y: float, kind: str) -> Element:
    return e("text", text, x=x, y=y, class_=kind)


def _svg(title: str, height: float, drawn: Sequence[Element]) -> Element:
    box = {"viewBox": f"0 0 {_WIDTH:.0f} {height:.0f}", "width": f"{_WIDTH:.0f}", "height": f"{height:.0f}"}
    return e("svg", *drawn, role="img", aria_label=title, **box)
