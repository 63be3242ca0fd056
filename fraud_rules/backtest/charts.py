"""The report's charts as SVG that follows the page's colours. Called by `page`; each says in words what it shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Final

from fraud_rules.backtest.markup import Element, e
from fraud_rules.backtest.report import Day, Report, RuleResult, RulesetResult, Sum, Sums, share
from fraud_rules.backtest.wording import by_worth, dollars, percent
from fraud_rules.decision import Outcome

_WIDTH: Final = 920.0
_LEFT: Final = 62.0
_MOST_BARS: Final = 100
_MOST_RULES: Final = 14
_CELL: Final = 44.0


@dataclass(frozen=True, slots=True)
class _Bar:
    """One day, or some days together: US cents."""

    label: str
    blocked: int
    handled: int
    missed: int
    good: int


def by_day(days: Sequence[Day]) -> Element:
    """Fraud above the line, by what became of it; good money that was blocked below it."""
    bars = list(_bars(days))
    top = nice(max((bar.blocked + bar.handled + bar.missed for bar in bars), default=0))
    low = nice(max((bar.good for bar in bars), default=0))
    above, below = (190.0, 60.0) if low * 3 < top else (140.0, 110.0)
    zero, step = 14 + above, (_WIDTH - _LEFT - 8) / max(1, len(bars))
    parts = [*_scale(top, zero, -above), *_scale(low, zero, below)]
    for place, bar in enumerate(bars):
        x, y = _LEFT + place * step, zero
        column = e("g", e("title", _told(bar)))
        for kind, cents in (("blocked", bar.blocked), ("handled", bar.handled), ("missed", bar.missed)):
            height = above * cents / top
            y -= height
            column.append(_rect(x, y, step, height, kind))
        column.append(_rect(x, zero, step, below * bar.good / low, "good"))
        # An invisible bar over the whole height, so that small ones can be pointed at too.
        column.append(e("rect", x=x, y=14, width=step, height=above + below, class_="aim"))
        parts.append(column)
    parts += _dates(bars, step, zero + below + 18)
    parts.append(e("line", x1=_LEFT, x2=_WIDTH - 8, y1=zero, y2=zero, class_="axis"))
    return _svg(zero + below + 28, "Money by day: fraud blocked, handled and missed; good money blocked", parts)


def _told(bar: _Bar) -> str:
    fraud = f"fraud blocked {dollars(bar.blocked)}, in review or challenged {dollars(bar.handled)}"
    return f"{bar.label}: {fraud}, missed {dollars(bar.missed)}; good money blocked {dollars(bar.good)}"


def _bars(days: Sequence[Day]) -> Iterator[_Bar]:
    """Puts days together where there are too many to tell apart."""
    if not days:
        return
    width = ceil(((days[-1].day - days[0].day).days + 1) / _MOST_BARS)
    groups: dict[int, list[Day]] = {place: [] for place in range(((days[-1].day - days[0].day).days // width) + 1)}
    for day in days:
        groups[(day.day - days[0].day).days // width].append(day)
    for place, group in groups.items():
        start = days[0].day.toordinal() + place * width
        label = type(days[0].day).fromordinal(start).isoformat()
        by = {outcome: sum((day.outcomes.get(outcome, Sums()) for day in group), Sums()) for outcome in Outcome}
        handled = by[Outcome.REVIEW].fraud + by[Outcome.CHALLENGE].fraud
        yield _Bar(
            label if width == 1 else f"{width} days from {label}",
            by[Outcome.BLOCK].fraud.cents,
            handled.cents,
            by[Outcome.ALLOW].fraud.cents,
            by[Outcome.BLOCK].legit.cents,
        )


def curve(result: RulesetResult, payments: Sums) -> Element:
    """Precision and recall of blocks over the threshold at which the score blocks."""
    high, bottom, right = 200.0, 214.0, _WIDTH - 110
    parts = list(_shares(bottom, high, right))

    def place(thousandths: int, value: float) -> str:
        return f"{_LEFT + (right - _LEFT) * thousandths / 1_000:.1f},{bottom - high * value:.1f}"

    for name, kind in (("precision", "blocked"), ("recall", "missed")):
        spots = []
        for point in result.curve:
            found = point.blocked
            value = found.precision if name == "precision" else share(found.fraud.count, payments.fraud.count)
            if value is None:
                continue
            spots.append((place(point.block_thousandths, value), value))
            told = f"block at {point.block_thousandths / 1_000:g}: {name} {percent(value)}, {found.all.count:,} blocked"
            x, _, y = spots[-1][0].partition(",")
            parts.append(e("circle", e("title", told), cx=x, cy=y, r=4, class_=f"{kind} dot"))
        if spots:
            parts.append(e("polyline", points=" ".join(spot for spot, _ in spots), class_=f"{kind} line"))
            end = bottom - high * spots[-1][1] + (4 if name == "precision" else 16)
            parts.append(e("text", name, x=right + 10, y=end, class_="label"))
    parts += _thresholds(result, right, bottom, high)
    return _svg(258, "Precision and recall of blocking, by the threshold of the score", parts)


def scores(result: RulesetResult, payments: Sums) -> Element:
    """How the scores of fraud and of good payments spread, each as a share of its own; score 0 is left out."""
    high, bottom, right = 170.0, 184.0, _WIDTH - 20
    bins: dict[int, Sums] = {}
    for row in result.scores:
        if row.score_thousandths and row.settled is None:
            place = min(19, row.score_thousandths // 50)
            bins[place] = bins.get(place, Sums()) + row.payments
    pairs = {
        place: (share(sums.fraud.count, payments.fraud.count) or 0, share(sums.legit.count, payments.legit.count) or 0)
        for place, sums in bins.items()
    }
    top = max((value for pair in pairs.values() for value in pair), default=0) or 1
    step, parts = (right - _LEFT) / 20, []
    for fraction in (0.5, 1.0):
        y = bottom - high * fraction
        parts.append(e("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(e("text", percent(top * fraction), x=_LEFT - 8, y=y + 4, class_="tick end"))
    for place, (fraud, good) in sorted(pairs.items()):
        x = _LEFT + place * step
        told = f"score {place / 20:g} to {(place + 1) / 20:g}: {percent(fraud)} of fraud, {percent(good)} of good"
        pair = e("g", e("title", told))
        for side, (kind, value) in enumerate((("missed", fraud), ("good", good))):
            height = high * value / top
            left = x + 3 + side * (step / 2 - 1.5)
            pair.append(e("rect", x=left, y=bottom - height, width=step / 2 - 3, height=height, class_=kind))
        parts.append(pair)
    parts += _thresholds(result, right, bottom, high)
    return _svg(228, "Scores of fraud and of good payments", parts)


def _thresholds(result: RulesetResult, right: float, bottom: float, high: float) -> list[Element]:
    """The axis of scores, and a line at each threshold."""
    parts = [e("line", x1=_LEFT, x2=right, y1=bottom, y2=bottom, class_="axis")]
    for tenth in range(0, 11, 2):
        x = _LEFT + (right - _LEFT) * tenth / 10
        parts.append(e("text", f"{tenth / 10:g}", x=x, y=bottom + 18, class_="tick middle"))
    parts.append(e("text", "score", x=(_LEFT + right) / 2, y=bottom + 36, class_="tick middle"))
    for outcome, value in result.thresholds.items():
        x = _LEFT + (right - _LEFT) * value / 1_000
        parts.append(e("line", x1=x, x2=x, y1=bottom - high - 2, y2=bottom, class_="mark"))
        parts.append(e("text", outcome.lower(), x=x + 4, y=bottom - high + 8, class_="tick"))
    return parts


def _shares(bottom: float, high: float, right: float) -> Iterator[Element]:
    for quarter in range(5):
        y = bottom - high * quarter / 4
        yield e("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid")
        yield e("text", f"{quarter * 25} %", x=_LEFT - 8, y=y + 4, class_="tick end")


def heatmap(report: Report) -> Element:
    """Of the payments for which the rule of a row fired, the share for which that of a column did too."""
    rules = sorted(by_worth(report), key=lambda rule: -rule.hits.all.count)[:_MOST_RULES]
    side, left, top = _CELL, 250.0, 150.0
    overlap = {pair: count for (a, b), count in report.ruleset.overlap.items() for pair in ((a, b), (b, a))}
    parts = []
    for row, rule in enumerate(rules):
        y = top + row * side
        parts.append(e("text", _short(rule.id), x=left - 10, y=y + side / 2 + 4, class_="label end"))
        x = left + row * side + side / 2
        turned = f"rotate(-50 {x:.0f} {top - 8:.0f})"
        parts.append(e("text", _short(rule.id), x=x, y=top - 8, transform=turned, class_="label"))
        for column, other in enumerate(rules):
            both = rule.hits.all.count if rule is other else overlap.get((rule.id, other.id), 0)
            parts.append(_cell(rule, other, both, (left + column * side, y)))
    width = max(left + len(rules) * side + 110, 480)
    return _svg(top + len(rules) * side + 6, "How far rules fire for the same payments", parts, width)


def _cell(rule: RuleResult, other: RuleResult, both: int, corner: tuple[float, float]) -> Element:
    part, (x, y), size = both / rule.hits.all.count, corner, _CELL - 2
    told = f"{percent(part)} of {rule.id} is {other.id} too: {both:,} payments"
    cell = e("g", e("title", told))
    strength = 0.06 if rule is other else max(0.06, part)
    cell.append(e("rect", x=x + 1, y=y + 1, width=size, height=size, rx=4, class_="heat", fill_opacity=strength))
    if rule is not other and part >= 0.005:
        kind = "tick middle strong" if part > 0.55 else "tick middle"
        cell.append(e("text", f"{100 * part:.0f}", x=x + _CELL / 2, y=y + _CELL / 2 + 4, class_=kind))
    return cell


def nice(cents: int) -> int:
    """Returns the next 1, 2 or 5 with zeros that is no less, and at least a dollar."""
    if cents <= 100:
        return 100
    unit = 10 ** int(log10(cents))
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= cents)


def _scale(top: int, zero: float, height: float) -> Iterator[Element]:
    for half in (1, 2):
        y = zero + height * half / 2
        yield e("line", x1=_LEFT, x2=_WIDTH - 8, y1=y, y2=y, class_="grid")
        yield e("text", dollars(top * half // 2), x=_LEFT - 8, y=y + 4, class_="tick end")


def _dates(bars: Sequence[_Bar], step: float, y: float) -> Iterator[Element]:
    every = max(1, ceil(len(bars) / 10))
    for place in range(0, len(bars), every):
        label = bars[place].label[-5:] if len(bars) > 1 else bars[place].label
        yield e("text", label, x=_LEFT + place * step, y=y, class_="tick")


def _rect(x: float, y: float, step: float, height: float, kind: str) -> Element:
    return e("rect", x=x + 0.5, y=y, width=max(1.0, step - 1.5), height=max(0.0, height), class_=kind)


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:27]}…"


def _svg(height: float, title: str, parts: Sequence[Element], width: float = _WIDTH) -> Element:
    return e("svg", e("title", title), *parts, viewBox=f"0 0 {width:.0f} {height:.0f}", role="img", aria_label=title)


def total(sums: Sum) -> str:
    """A number of payments with its money."""
    return f"{sums.count:,} ({dollars(sums.cents)})"
