"""Cells of one row to a `Payment`, by a plan. Called by the readers of CSV and Parquet for each row."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from fraud_rules.backtest.columns import LABEL, Plan, read_label, read_time
from fraud_rules.backtest.payments import SECOND, DataError, Label, Payment
from fraud_rules.facts import Value
from fraud_rules.velocity import LAST

Make = Callable[[int, Sequence[Any]], Payment]

_HOUR: Final = 3_600 * SECOND
_DAY: Final = 24 * _HOUR
_THURSDAY: Final = 3  # what 1970 began with, from Monday's 0


def row_reader(source: str, plan: Plan, label: str = LABEL) -> Make:
    """Returns what makes a payment of a row's place and cells, and sees to the order of time.

    The function raises:
        DataError: A cell cannot be read, a required one is empty, or the row is earlier than the one before it.
    """
    place_of_time, place_of_label, facts_plan, outcomes_plan = plan.time, plan.label, plan.facts, plan.outcomes
    derive = _deriver(plan.derived)
    last = -(2**63)

    def make(place: int, cells: Sequence[Any]) -> Payment:
        nonlocal last
        column = "time"
        try:
            at = read_time(cells[place_of_time])
            if at < last:
                raise ValueError("is earlier than in the row before; sort the file by time")
            last = at
            facts: dict[str, Value] = {}
            # Of cells, None and the empty text are unknown; texts, the most, pass at the first test.
            for index, column, read in facts_plan:
                cell = cells[index]
                if cell or cell is False or cell == 0:
                    facts[column] = read(cell)  # type: ignore[assignment] # readers of facts return values
            for column in ("amount", "currency"):
                if column not in facts:
                    raise ValueError("is empty")
            outcomes = {}
            for index, column, read in outcomes_plan:
                cell = cells[index]
                if cell or cell is False or cell == 0:
                    outcomes[column] = read(cell)
            column = label
            word = cells[place_of_label] if place_of_label is not None else None
            known = read_label(word) if word else None
        except ValueError as error:
            raise DataError(source, place, column, str(error)) from None
        if derive is not None:
            derive(facts, at)
        return _payment(place, at, facts, outcomes, known)

    return make


def _payment(place: int, at: int, facts: dict[str, Value], outcomes: dict[str, Any], label: Label | None) -> Payment:
    amount, currency = facts["amount"], facts["currency"]
    merchant = facts.get("merchant", "")
    assert isinstance(amount, int) and isinstance(currency, str) and isinstance(merchant, str)
    if not outcomes:
        return Payment(place, at, merchant, facts, amount, currency, label)
    get = outcomes.get
    return Payment(
        place,
        at,
        merchant,
        facts,
        amount,
        currency,
        label,
        get("approved", False),
        get("declined", False),
        get("blocked", False),
        get("refunded_at"),
        get("disputed_at"),
        get("early_fraud_warning_at"),
        get("refunded_amount", amount),
        {name: outcomes[name] for name in LAST if name in outcomes} or None,
    )


def _deriver(names: Sequence[str]) -> Callable[[dict[str, Value], int], None] | None:
    if not names:
        return None

    def derive(facts: dict[str, Value], at: int) -> None:
        if "hour" in names:
            facts["hour"] = at % _DAY // _HOUR
        if "weekday" in names:
            facts["weekday"] = (at // _DAY + _THURSDAY) % 7 + 1
        if "email_domain" in names:
            domain = str(facts.get("email", "")).rpartition("@")[2]
            if domain:
                facts["email_domain"] = domain

    return derive
