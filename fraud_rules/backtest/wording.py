"""A report's numbers in words: tiles, caveats and formats. Shared by `terminal`, `markdown` and `page`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from fraud_rules.backtest.report import Report, RuleResult, Sums, share
from fraud_rules.decision import Outcome


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline: `change` compares with the live ruleset, or is empty; `better` is None where neither is better."""

    title: str
    value: str
    detail: str
    change: str = ""
    better: bool | None = None


def dollars(cents: int) -> str:
    """Writes money for people: `$950`, `$12.3k`, `$4.56M`."""
    amount = abs(cents) / 100
    sign = "-" if cents < 0 else ""
    if amount >= 999_950:
        return f"{sign}${amount / 1_000_000:,.2f}M"
    if amount >= 9_999.5:
        return f"{sign}${amount / 1_000:,.1f}k"
    return f"{sign}${amount:,.0f}"


def percent(part: float | None) -> str:
    """Writes a share: `12.3 %`, `0.04 %`, or n/a where there is none."""
    if part is None:
        return "n/a"
    return f"{part:.1%}".replace("%", " %") if abs(part) >= 0.001 or not part else f"{part:.2%}".replace("%", " %")


def points(value: float) -> str:
    """Writes a difference of two shares in percentage points, with its sign."""
    return f"{100 * value:+.1f} points"


def recall(rule: RuleResult, report: Report) -> float | None:
    """Returns the share of all known fraud for which the rule fired."""
    return share(rule.hits.fraud.count, report.payments.fraud.count)


def by_worth(report: Report) -> list[RuleResult]:
    """Returns the rules that fired, those that met most fraud first."""
    fired = [rule for rule in report.ruleset.rules if rule.hits.all.count]
    return sorted(fired, key=lambda rule: (-rule.hits.fraud.cents, -rule.hits.all.count, rule.id))


def silent(report: Report) -> list[str]:
    """Returns the ids of the rules that never fired."""
    return [rule.id for rule in report.ruleset.rules if not rule.hits.all.count]


def tiles(report: Report) -> list[Tile]:
    """Returns the headlines, the most important first."""
    new = report.ruleset.of(Outcome.BLOCK)
    live = report.live.of(Outcome.BLOCK) if report.live else None
    labelled = share(report.payments.labelled, report.payments.all.count)
    return [
        _caught(report, new, live),
        _good_stopped(report, new, live),
        _precision(new, live),
        _handled(report, Outcome.REVIEW, "Sent to review"),
        _handled(report, Outcome.CHALLENGE, "Asked for 3-D Secure"),
        Tile(
            "Payments",
            f"{report.payments.all.count:,}",
            f"{dollars(report.payments.all.cents)}, {percent(labelled)} labelled",
        ),
    ]


def _caught(report: Report, new: Sums, live: Sums | None) -> Tile:
    whole = report.payments.fraud
    now = share(new.fraud.cents, whole.cents)
    value = percent(now) if whole.count else "n/a"
    detail = f"{dollars(new.fraud.cents)} of {dollars(whole.cents)}; {new.fraud.count:,} of {whole.count:,} payments"
    if live is None or now is None:
        return Tile("Known fraud blocked, by money", value, detail)
    difference = now - (share(live.fraud.cents, whole.cents) or 0)
    return Tile("Known fraud blocked, by money", value, detail, points(difference), _better(difference))


def _good_stopped(report: Report, new: Sums, live: Sums | None) -> Tile:
    detail = f"{new.legit.count:,} payments, {percent(share(new.legit.count, report.payments.legit.count))} of the good"
    title, value = "Good money blocked", dollars(new.legit.cents)
    if live is None:
        return Tile(title, value, detail)
    difference = new.legit.cents - live.legit.cents
    return Tile(title, value, detail, f"{'+' if difference >= 0 else ''}{dollars(difference)}", _better(-difference))


def _precision(new: Sums, live: Sums | None) -> Tile:
    detail = f"fraud among {new.labelled:,} labelled of {new.all.count:,} blocked"
    title, value = "Precision of blocks", percent(new.precision)
    if live is None or new.precision is None or live.precision is None:
        return Tile(title, value, detail)
    difference = new.precision - live.precision
    return Tile(title, value, detail, points(difference), _better(difference))


def _handled(report: Report, outcome: Outcome, title: str) -> Tile:
    sums = report.ruleset.of(outcome)
    detail = f"{percent(share(sums.all.count, report.payments.all.count))} of all, {sums.fraud.count:,} of them fraud"
    if report.live is None:
        return Tile(title, f"{sums.all.count:,}", detail)
    difference = sums.all.count - report.live.of(outcome).all.count
    return Tile(title, f"{sums.all.count:,}", detail, f"{difference:+,}")


def _better(difference: float) -> bool | None:
    return None if abs(difference) < 0.0005 else difference > 0


def period(report: Report) -> str:
    """Says from when to when the payments were made."""
    if report.first is None or report.last is None:
        return "no payments"
    days = (report.last - report.first) // timedelta(days=1) + 1
    return f"{report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}, {days:,} days"


def caveats(report: Report) -> Iterator[str]:
    """Yields what must be known to read the numbers rightly, a sentence or two each."""
    payments = report.payments
    if payments.unlabelled.count:
        yield (
            f"{payments.unlabelled.count:,} payments ({percent(share(payments.unlabelled.count, payments.all.count))}) "
            "have no label. Precision, recall and good money speak of the labelled ones alone."
        )
    if report.blocked_then.all.count:
        then = report.blocked_then
        yield (
            f"{then.all.count:,} payments were blocked at the time; of {then.unlabelled.count:,} of them nobody knows "
            "whether they were fraud."
        )
    if report.without_rate:
        yield f"{report.without_rate:,} payments are in currencies without a rate; their money counts as nothing."
    if report.missing:
        yield f"The data lacks {_listed(report.missing)}: unknown in every payment, so rules on them cannot fire."
    yield from report.notes
    yield (
        "What the past holds is counted anew as of each payment's time, from the first payment of the data on. The "
        "past stays as it was: what the new rules would have blocked still counts for later payments."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
