"""The report as one HTML page that needs nothing else: no script, no network. Called by the command line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fraud_rules.backtest import charts
from fraud_rules.backtest.markup import Child, Element, clean, e, to_html
from fraud_rules.backtest.report import Day, Report, RuleResult, Sums, share
from fraud_rules.backtest.wording import Tile, by_worth, caveats, dollars, percent, period, recall, silent, tiles
from fraud_rules.decision import Outcome

_STYLE: Final = Path(__file__).parent / "style.css"
_FIRST_RULES: Final = 15
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def to_page(report: Report) -> str:
    """Writes the report as HTML. Texts of rule files and data are shown as they are, never as markup."""
    title = f"Backtest of {report.ruleset.name}"
    style = Element("style")
    style.text = _STYLE.read_text(encoding="utf-8")
    head = e(
        "head",
        e("meta", charset="utf-8"),
        e("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        e("meta", name="viewport", content="width=device-width, initial-scale=1"),
        e("title", title),
        style,
    )
    body = e("main", e("header", e("h1", title), *_under_the_title(report)), *_sections(report))
    return to_html(e("html", head, e("body", body), lang="en"))


def _under_the_title(report: Report) -> Iterator[Element]:
    against = f" against the live ruleset {report.live.name}" if report.live else ""
    yield e("p", f"{period(report)}; {clean(report.source)}{against}.", class_="soft")
    hashes = [e("code", report.ruleset.hash[:12])]
    if report.live:
        hashes.append(e("code", report.live.hash[:12]))
    yield e("p", "Ruleset ", hashes[0], *(_live_hash(hashes)), class_="soft")


def _live_hash(hashes: list[Element]) -> tuple[Child, ...]:
    return (", live ", hashes[1]) if len(hashes) > 1 else ()


def _sections(report: Report) -> Iterator[Element]:
    yield e("div", *map(_tile, tiles(report)), class_="tiles")
    if report.payments.all.count:
        if report.live:
            yield _changes(report)
        yield _days(report)
        yield _rules(report)
        yield _threshold(report)
        if len(by_worth(report)) > 1:
            yield _overlap(report)
    yield e("section", e("h2", "How to read this"), e("ul", *(e("li", one) for one in caveats(report)), class_="notes"))


def _tile(tile: Tile) -> Element:
    tone = "" if tile.better is None else " better" if tile.better else " worse"
    change = e("div", f"{tile.change} against live", class_=f"change{tone}") if tile.change else None
    return e(
        "div",
        e("div", tile.title, class_="title"),
        e("div", tile.value, class_="value"),
        e("div", tile.detail, class_="detail"),
        change,
        class_="tile",
    )


def _changes(report: Report) -> Element:
    newly, freed = report.changed(newly=Outcome.BLOCK), report.no_longer(Outcome.BLOCK)
    fraud, good = newly.fraud.cents - freed.fraud.cents, newly.legit.cents - freed.legit.cents
    sentence = (
        f"The new rules block {_told(newly)} more, and no longer block {_told(freed)}. Together that is "
        f"{_signed(fraud)} of fraud and {_signed(good)} of good money blocked."
    )
    rows = [
        e(
            "tr",
            e("th", f"{one.before.capitalize()} → {one.after.capitalize()}", scope="row"),
            *_sums(one.payments),
        )
        for one in sorted(report.changes, key=lambda one: -one.payments.all.count)
        if one.before is not one.after
    ]
    same = sum(one.payments.all.count for one in report.changes if one.before is one.after)
    names = _renamed(report)
    return e(
        "section",
        e("h2", "What changes against the live rules"),
        e("p", sentence),
        e("p", names, class_="soft") if names else None,
        _table(("live → new", "payments", "money", "fraud", "good", "unlabelled"), rows) if rows else None,
        e(
            "p",
            f"{same:,} payments ({percent(share(same, report.payments.all.count))}) are decided as before.",
            class_="soft",
        ),
    )


def _signed(cents: int) -> str:
    return dollars(cents) if cents < 0 else f"+{dollars(cents)}"


def _told(sums: Sums) -> str:
    return f"{sums.all.count:,} payments ({sums.fraud.count:,} fraud, {sums.legit.count:,} good)"


def _renamed(report: Report) -> str:
    parts = []
    for change in ("new", "changed"):
        ids = [rule.id for rule in report.ruleset.rules if rule.change == change]
        if ids:
            parts.append(f"{change.capitalize()}: {', '.join(ids)}.")
    if report.removed:
        parts.append(f"Removed: {', '.join(report.removed)}.")
    return " ".join(parts)


def _sums(sums: Sums) -> Iterator[Element]:
    yield e("td", f"{sums.all.count:,}", class_="number")
    yield e("td", dollars(sums.all.cents), class_="number")
    for one in (sums.fraud, sums.legit, sums.unlabelled):
        yield e("td", charts.total(one), class_="number")


def _days(report: Report) -> Element:
    legend = e(
        "ul",
        *(
            e("li", e("i", class_=kind), text)
            for kind, text in (
                ("blocked", "fraud blocked"),
                ("handled", "fraud in review or challenged"),
                ("missed", "fraud missed"),
                ("good", "good money blocked"),
            )
        ),
        class_="legend",
    )
    rows = [_day_row(day) for day in report.days]
    head = ("day", "payments", "fraud blocked", "fraud in review or challenged", "fraud missed", "good blocked")
    return e(
        "section",
        e("h2", "By day"),
        legend,
        e("div", charts.by_day(report.days), class_="wide"),
        e("details", e("summary", "As a table"), _table(head, rows)),
    )


def _day_row(day: Day) -> Element:
    def of(outcome: Outcome) -> Sums:
        return day.outcomes.get(outcome, Sums())

    handled = of(Outcome.REVIEW).fraud + of(Outcome.CHALLENGE).fraud
    cells = (of(Outcome.BLOCK).fraud, handled, of(Outcome.ALLOW).fraud, of(Outcome.BLOCK).legit)
    return e(
        "tr",
        e("th", day.day.isoformat(), scope="row"),
        e("td", f"{day.total.all.count:,}", class_="number"),
        *(e("td", charts.total(cell), class_="number") for cell in cells),
    )


def _rules(report: Report) -> Element:
    head = ("rule", "does", "fired", "money", "precision", "recall", "good money hit", "alone")
    never, rows = silent(report), [_rule(rule, report) for rule in by_worth(report)]
    return e(
        "section",
        e("h2", "Rules"),
        e(
            "p",
            "Those that met most fraud first. Precision is the share of fraud among the labelled payments for which a "
            "rule fired, recall the share of all known fraud. Alone: no other rule fired.",
            class_="soft",
        ),
        _table(head, rows[:_FIRST_RULES]),
        e("details", e("summary", f"{len(rows) - _FIRST_RULES} more"), _table(head, rows[_FIRST_RULES:]))
        if len(rows) > _FIRST_RULES
        else None,
        e("p", f"Never fired: {', '.join(never)}.", class_="soft") if never else None,
    )


def _rule(rule: RuleResult, report: Report) -> Element:
    tag = e("span", rule.change, class_="tag") if rule.change else None
    mode = e("span", rule.mode, class_="tag") if rule.mode != "live" else None
    return e(
        "tr",
        e("th", rule.id, tag, mode, e("div", rule.why, class_="why"), scope="row"),
        e("td", rule.effect),
        e("td", f"{rule.hits.all.count:,}", class_="number"),
        e("td", dollars(rule.hits.all.cents), class_="number"),
        e("td", percent(rule.hits.precision), _bar(rule.hits.precision, "")),
        e("td", percent(recall(rule, report)), _bar(recall(rule, report), "missed")),
        e("td", dollars(rule.hits.legit.cents), class_="number"),
        e("td", f"{rule.unique.all.count:,}", class_="number"),
    )


def _bar(part: float | None, kind: str) -> Element | None:
    if part is None:
        return None
    return e("div", e("span", style=f"width: {100 * part:.1f}%", class_=kind or None), class_="bar", aria_hidden="true")


def _threshold(report: Report) -> Element:
    payments, result = report.payments, report.ruleset
    return e(
        "section",
        e("h2", "Where to put the threshold"),
        e(
            "p",
            "What blocking by score would do at each threshold; what actions of rules block is in it everywhere.",
            class_="soft",
        ),
        e("div", charts.curve(result, payments), class_="wide"),
        e("h2", "Scores"),
        e(
            "p",
            "Shares of all known fraud and of all good payments. Left out: score 0, and what an action settled.",
            class_="soft",
        ),
        e("ul", e("li", e("i", class_="missed"), "fraud"), e("li", e("i", class_="good"), "good"), class_="legend"),
        e("div", charts.scores(result, payments), class_="wide"),
    )


def _overlap(report: Report) -> Element:
    return e(
        "section",
        e("h2", "Overlap"),
        e(
            "p",
            "Percent of a row's hits for which the column's rule fired too. A row with a dark cell adds little "
            "of its own. The rules that fired most are shown.",
            class_="soft",
        ),
        e("div", charts.heatmap(report), class_="wide"),
    )


def _table(head: tuple[str, ...], rows: list[Element]) -> Element:
    numbers = {"does", "precision", "recall"}
    cells = [
        e("th", name, scope="col", class_=None if place == 0 or name in numbers else "number")
        for place, name in enumerate(head)
    ]
    return e("div", e("table", e("thead", e("tr", *cells)), e("tbody", *rows)), class_="wide")
