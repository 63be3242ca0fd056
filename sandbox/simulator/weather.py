"""What goes wrong in a seed: faults of the processors, and blows against the gateway's own parts. Pure; drawn at once.

Each seed leaves some kinds out: what only shows when one fault comes alone is found as well as what needs two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, Final

Rule = Mapping[str, Any]
"""A fault as `POST /sandbox/faults` takes it."""

_STRIPE: Final = ("stripe.payment_intents.*", "stripe.refunds.*")
_PAYPAL: Final = ("paypal.orders.*", "paypal.authorizations.*", "paypal.captures.*", "paypal.refunds.*")
_LEFT_OUT: Final = 0.3
_INTENSITIES: Final = (0.5, 1.0, 1.0, 2.0)


class Blow(StrEnum):
    """What is done to the gateway's own parts."""

    KILL_SERVER = "kill_server"
    KILL_WORKER = "kill_worker"
    PAUSE_SERVER = "pause_server"
    """Stopped for longer than its leases last, then woken."""
    DISCONNECT = "disconnect"
    """Postgres ends all connections of the gateway."""
    CRASH_POSTGRES = "crash_postgres"
    CUT_BEFORE_COMMIT = "cut_before_commit"
    """The connection is lost before COMMIT reaches Postgres."""
    CUT_AFTER_COMMIT = "cut_after_commit"
    """The connection is lost after Postgres has committed, and before it could say so."""
    JUMP_CLOCK = "jump_clock"
    """A part's clock is off by `seconds`."""


SERVERS: Final = ("server-1", "server-2")
PARTS: Final = (*SERVERS, "worker")
_BLOWS: Final = (
    (5, Blow.KILL_SERVER),
    (2, Blow.KILL_WORKER),
    (5, Blow.PAUSE_SERVER),
    (4, Blow.DISCONNECT),
    (1, Blow.CRASH_POSTGRES),
    (10, Blow.CUT_BEFORE_COMMIT),
    (10, Blow.CUT_AFTER_COMMIT),
    (8, Blow.JUMP_CLOCK),
)
_JUMPS_S: Final = (-86_400.0, -3_600.0, -30.0, 0.0, 0.0, 30.0, 3_600.0, 86_400.0, 93_600.0)


@dataclass(frozen=True, slots=True)
class Strike:
    """A blow at the moment when so many payments of the seed have begun; `seconds` as the kind means it."""

    at_payment: int
    blow: Blow
    part: str
    seconds: float


def draw_rules(seed: int, deadline_s: float, droppable: Sequence[str]) -> list[Rule]:
    """Draws the processors' faults.

    Args:
        deadline_s: Seconds that the gateway waits for a processor.
        droppable: Accounts at the stand-ins whose webhooks may be dropped; those of the others all arrive in the end.
    """
    random = Random(f"{seed}:rules")
    more = random.choice(_INTENSITIES)
    rules: list[Rule] = []
    for operation in (*_STRIPE, *_PAYPAL):
        kinds: list[tuple[float, Rule]] = [
            (0.3, {"kind": "latency", "seconds": 0.0, "max_seconds": 0.08}),
            (0.006, {"kind": "latency", "seconds": deadline_s * 0.8, "max_seconds": deadline_s * 2}),
            (0.01, {"kind": "error", "status": 500}),
            (0.01, {"kind": "error", "status": 500, "booked": True}),
            (0.005, {"kind": "error", "status": 503}),
            (0.005, {"kind": "error", "status": 429}),
            (0.01, {"kind": "lost_request"}),
            (0.02, {"kind": "lost_reply"}),
            (0.004, {"kind": "unknown_status"}),
        ]
        rules += _chosen(random, more, [(share, {"operation": operation, **rule}) for share, rule in kinds])
    rules += _webhook_rules(random, more, droppable)
    return rules


def _webhook_rules(random: Random, more: float, droppable: Sequence[str]) -> list[Rule]:
    rules: list[Rule] = []
    for operation in ("stripe.webhook.*", "paypal.webhook.*"):
        kinds: list[tuple[float, Rule]] = [
            (0.08, {"kind": "webhook_duplicate", "copies": random.randint(1, 2)}),
            (0.1, {"kind": "webhook_delay", "seconds": 0.05, "max_seconds": 2.0}),
            (0.06, {"kind": "webhook_reorder", "window": random.randint(2, 4), "seconds": 1.0}),
        ]
        rules += _chosen(random, more, [(share, {"operation": operation, **rule}) for share, rule in kinds])
        dropped = {"kind": "webhook_drop", "operation": operation}
        if random.random() >= _LEFT_OUT:
            rules += [
                {**dropped, "account": account, "probability": 0.05, "seed": random.getrandbits(32)}
                for account in droppable
            ]
    return rules


def _chosen(random: Random, more: float, kinds: Sequence[tuple[float, Rule]]) -> list[Rule]:
    drawn: list[Rule] = []
    for share, rule in kinds:
        kept, number = random.random() >= _LEFT_OUT, random.getrandbits(32)
        if kept:
            drawn.append({**rule, "probability": min(1.0, share * more), "seed": number})
    return drawn


def draw_strikes(seed: int, payments: int, apart: float, allowed: frozenset[Blow] = frozenset(Blow)) -> list[Strike]:
    """Draws the blows of a seed in the order of their time.

    Args:
        payments: Of the seed.
        apart: Payments between two blows, on average.
        allowed: Kinds that this run knows at all.
    """
    random = Random(f"{seed}:strikes")
    table = [(weight, blow) for weight, blow in _BLOWS if random.random() >= _LEFT_OUT and blow in allowed]
    strikes: list[Strike] = []
    at = random.expovariate(1 / apart)
    while table and at < payments:
        blow = random.choices([blow for _, blow in table], [weight for weight, _ in table])[0]
        strikes.append(_strike(random, int(at), blow))
        at += random.expovariate(1 / apart)
    return strikes


def _strike(random: Random, at: int, blow: Blow) -> Strike:
    part, pause_s, jump_s = random.choice(SERVERS), random.uniform(0.5, 4.0), random.choice(_JUMPS_S)
    if blow is Blow.KILL_WORKER:
        return Strike(at, blow, "worker", pause_s / 4)
    if blow is Blow.JUMP_CLOCK:
        return Strike(at, blow, random.choice(PARTS), jump_s)
    return Strike(at, blow, part, pause_s / 4 if blow is Blow.KILL_SERVER else pause_s)
