"""Retells a timeline's entries in one line each, for people at a terminal. Called by `cli`."""

from dataclasses import dataclass
from typing import assert_never

from server.domain.payment import FraudDecision, Transaction
from server.domain.timeline import (
    ApiRequest,
    AttentionRaised,
    CallMade,
    EventTold,
    Happening,
    JournalBooked,
    ProcessorNotice,
    Reviewed,
)


@dataclass(frozen=True, slots=True)
class Line:
    """What happened, in words; `money` is in minor units, empty where none is meant."""

    kind: str
    what: str
    money: str = ""


def retell(what: Happening) -> Line:  # noqa: PLR0911  # one return for each kind
    """Puts one entry into words."""
    match what:
        case ApiRequest():
            return Line("request", f"{what.operation} {what.idempotency_key}".strip(), f"{what.amount} {what.currency}")
        case ProcessorNotice():
            return Line("webhook", f"{what.type} {what.event_id} → {what.result or 'not handled yet'}")
        case FraudDecision():
            fired = f" by {', '.join(what.rules)}" if what.rules else ""
            return Line("decision", f"{what.outcome.value}{fired}")
        case CallMade(call=call):
            became = call.error.value if call.status is None else call.status
            return Line(what.processor, f"{call.operation} → {became} in {call.duration_us / 1000:.1f} ms")
        case Transaction():
            why = (
                "" if what.failure is None else f" {what.failure.code.value} {what.failure.decline_code or ''}".rstrip()
            )
            return Line("transaction", f"{what.type.value} {what.state.value}{why}", f"{what.amount} {what.currency}")
        case JournalBooked():
            lines = [f"{line.account} {line.amount:+d} {line.currency}" for line in what.lines]
            return Line("ledger", what.kind, "\n".join(lines))
        case EventTold():
            return Line("event", what.type)
        case AttentionRaised():
            return Line("attention", f"{what.kind}: {what.detail}")
        case Reviewed():
            who = what.analyst or what.through.lower()
            told = f" by {who}" if who else ""
            return Line("review", f"{what.step.value.lower()}{told}" + (f": {what.words}" if what.words else ""))
        case _:
            assert_never(what)
