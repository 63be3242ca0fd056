"""The report as Markdown for a pull request: short, the change first, details folded. Called by the command line."""

import re
from collections.abc import Iterator

from fraud_rules.backtest.markup import clean
from fraud_rules.backtest.report import Report, RuleResult
from fraud_rules.backtest.wording import by_worth, caveats, dollars, percent, period, recall, silent, tiles
from fraud_rules.decision import Outcome

_ALIVE = re.compile(r"([\\`*_{}\[\]<>()#+!|~&@:.-])")
_FIRST_RULES = 10


def to_markdown(report: Report) -> str:
    """Writes the summary in GitHub's dialect; texts of rule files and data are escaped."""
    lines = [*_head(report), *_changes(report), *_rules(report), *_notes(report)]
    # GitHub takes what stands between two dollar signs for mathematics.
    return "\n".join(lines).replace("$", "\\$") + "\n"


def plain(text: str) -> str:
    """Escapes what Markdown or HTML would read as more than text, mentions and links included; one line."""
    return _ALIVE.sub(r"\\\1", " ".join(clean(text).split()))


def _head(report: Report) -> Iterator[str]:
    yield f"## Backtest of `{report.ruleset.name}`"
    yield f"{period(report)}, {report.payments.all.count:,} payments from {plain(report.source)}."
    yield ""
    yield "| | now | | against live |" if report.live else "| | now | |"
    yield "|---|---:|---|---|" if report.live else "|---|---:|---|"
    for tile in tiles(report):
        mark = "" if tile.better is None else "✅ " if tile.better else "⚠️ "
        change = f" {mark}{tile.change} |" if report.live else ""
        yield f"| {tile.title} | **{tile.value}** | {tile.detail} |{change}"
    yield ""


def _changes(report: Report) -> Iterator[str]:
    if report.live is None:
        return
    newly, freed = report.changed(newly=Outcome.BLOCK), report.no_longer(Outcome.BLOCK)
    yield "### Against the live rules"
    yield "| | payments | fraud | good | unlabelled |"
    yield "|---|---:|---:|---:|---:|"
    for title, sums in (("newly blocked", newly), ("no longer blocked", freed)):
        cells = (f"{one.count:,} ({dollars(one.cents)})" for one in (sums.all, sums.fraud, sums.legit, sums.unlabelled))
        yield f"| {title} | {' | '.join(cells)} |"
    yield ""
    touched = [(rule.change, rule) for rule in report.ruleset.rules if rule.change]
    for change, rule in touched:
        yield f"- {change} `{rule.id}`: {_in_short(rule, report)}"
    for name in report.removed:
        yield f"- removed `{name}`"
    if touched or report.removed:
        yield ""


def _in_short(rule: RuleResult, report: Report) -> str:
    if not rule.hits.all.count:
        return "never fired"
    return (
        f"{rule.hits.all.count:,} payments, precision {percent(rule.hits.precision)}, recall "
        f"{percent(recall(rule, report))}, {dollars(rule.hits.legit.cents)} of good money"
    )


def _rules(report: Report) -> Iterator[str]:
    rules = by_worth(report)
    if rules:
        yield "### Rules"
        yield from _table(report, rules[:_FIRST_RULES])
    if len(rules) > _FIRST_RULES:
        yield f"<details><summary>{len(rules) - _FIRST_RULES} more rules</summary>\n"
        yield from _table(report, rules[_FIRST_RULES:])
        yield "</details>\n"
    never = silent(report)
    if never:
        yield f"Never fired: {', '.join(f'`{name}`' for name in never)}.\n"


def _table(report: Report, rules: list[RuleResult]) -> Iterator[str]:
    yield "| rule | does | fired | money | precision | recall | good money | alone |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for rule in rules:
        mode = "" if rule.mode == "live" else f" ({rule.mode})"
        cells = (
            f"`{rule.id}`{mode}",
            rule.effect,
            f"{rule.hits.all.count:,}",
            dollars(rule.hits.all.cents),
            percent(rule.hits.precision),
            percent(recall(rule, report)),
            dollars(rule.hits.legit.cents),
            f"{rule.unique.all.count:,}",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _notes(report: Report) -> Iterator[str]:
    yield "<details><summary>How to read this</summary>\n"
    yield from (f"- {plain(one)}" for one in caveats(report))
    yield "\n</details>"
