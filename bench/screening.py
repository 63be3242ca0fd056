"""What screening costs beside the database: `python -m bench.screening`; exit code 1 where it costs more than it may.

Everything from the payment to the decision that is stored is in it: facts, numbers counted before, admission, the
engine, and settling the outcome. It is CPU time, beside that of the plain generated function over the same facts in the
same minute, since machines differ and are shared.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from rich.console import Console
from rich.table import Table

from bench.screening_rules import VELOCITY, VELOCITY_NAMES, rule_file
from fraud_rules import Ruleset, load_ruleset
from fraud_rules.evaluator import compile_conditions
from fraud_rules.facts import Value
from server.domain.payment import Address, CardSummary, Customer, Payment
from server.screening.rulesets import Lineup, Rulesets
from server.screening.screen import Screening
from tests.factories import make_payment

TARGETS_US = {50: 150.0, 200: 400.0}
"""Microseconds of CPU a payment, by the number of live rules."""
_ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of CPU a payment, medians over rounds.

    Attributes:
        plain: The generated function alone, facts given.
        ratio: `screening` to `plain`.
    """

    rules: int
    screening: float
    decide: float
    engine: float
    plain: float
    ratio: float
    target: float


def measure(rules: int, payments: int) -> Cost:
    """Measures a ruleset of so many live rules over so many payments a round."""
    with _ruleset(rules) as ruleset:
        in_force = SimpleNamespace(lineup=Lineup(ruleset, candidate=None, shadow=None))
        screening, made = Screening(cast(Rulesets, in_force)), _payments(payments)
        counted = [_counted(number) for number in range(payments)]
        decisions = [_screen(screening, payment, past) for payment, past in zip(made, counted, strict=True)]
        facts = [dict(decision) for decision in decisions]
        evaluate = compile_conditions([rule.condition for rule in ruleset.rules])
        engine = _engine_of(ruleset)
        rounds = [
            (
                _cpu_us(lambda: [_screen(screening, one, past) for one, past in zip(made, counted, strict=True)]),
                _cpu_us(lambda: [ruleset.decide(one) for one in facts]),
                _cpu_us(lambda: [engine(one) for one in facts]),
                _cpu_us(lambda: [evaluate(one) for one in facts]),
            )
            for _ in range(_ROUNDS)
        ]
    screening_us, decide, engine_us, plain = (
        statistics.median(column) / payments for column in zip(*rounds, strict=True)
    )
    ratio = screening_us / plain
    return Cost(rules, screening_us, decide, engine_us, plain, ratio, TARGETS_US.get(rules, float("inf")))


def _engine_of(ruleset: Ruleset) -> Callable[[dict[str, Value]], object]:
    engine = ruleset._engine
    assert engine is not None
    return engine.match


def _screen(screening: Screening, payment: Payment, past: dict[str, int]) -> dict[str, Value]:
    _, screen = screening.prepare(
        payment, None, "Europe/Berlin", f"card-{payment.amount % 97}", can_hold=True, can_challenge=True
    )
    _, decision = screen(past)
    return decision.facts


def _cpu_us(work: Callable[[], object]) -> float:
    begun = time.process_time_ns()
    work()
    return (time.process_time_ns() - begun) / 1_000


@contextmanager
def _ruleset(rules: int) -> Iterator[Ruleset]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.yaml"
        path.write_text(rule_file(rules), encoding="utf-8")
        ruleset = load_ruleset(path)
        assert len(ruleset.velocity) == VELOCITY
        try:
            yield ruleset
        finally:
            ruleset.close()


def _payments(count: int) -> list[Payment]:
    """Ordinary payments: most fire no rule or one, as in life."""
    countries, brands = ("US", "DE", "FR", "GB", "BR"), ("visa", "mastercard", "amex")
    return [
        make_payment(
            amount=1_000 + 37 * number % 90_000,
            customer=Customer(
                f"cus_{number}", f"ada.{number}@example.com", f"203.0.113.{number % 200}", f"dev{number}"
            ),
            card=CardSummary(brands[number % 3], "4242", 12, 2030),
            billing_address=Address(country=countries[number % 5], postal_code="10115"),
            shipping_address=Address(country=countries[number % 5], postal_code="10115"),
        )
        for number in range(count)
    ]


def _counted(number: int) -> dict[str, int]:
    return {name: (number * 7 + place) % 4 for place, name in enumerate(VELOCITY_NAMES)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the costs; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.screening", description=__doc__)
    parser.add_argument("--payments", type=int, default=1_000, help="payments a round")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    costs = [measure(rules, options.payments) for rules in TARGETS_US]
    if options.json:
        sys.stdout.write(json.dumps([asdict(cost) for cost in costs]) + "\n")
    else:
        _show(costs)
    return 0 if all(cost.screening <= cost.target for cost in costs) else 1


def _show(costs: Sequence[Cost]) -> None:
    table = Table(title=f"Screening beside the database, {VELOCITY} velocity facts; µs of CPU a payment")
    for column in ("live rules", "screening", "may cost", "of it: decide", "of it: engine", "plain function", "ratio"):
        table.add_column(column, justify="right")
    for cost in costs:
        style = "green" if cost.screening <= cost.target else "bold red"
        numbers = (cost.screening, cost.target, cost.decide, cost.engine, cost.plain, cost.ratio)
        table.add_row(str(cost.rules), *(f"{number:.1f}" for number in numbers), style=style)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
