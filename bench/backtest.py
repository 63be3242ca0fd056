"""What a backtest costs: `python -m bench.backtest`; exit code 1 where it judges fewer payments a second than it must.

Fifty rules, twelve of which ask the past, over made-up payments in a CSV file. It is CPU time of one core, from the
file's first byte to the report, beside a plain loop of the generated evaluator over the same facts in the same minute,
since machines differ and are shared.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from bench.backtest_rules import ruleset_text
from bench.payments import write
from fraud_rules import Ruleset, load_ruleset
from fraud_rules.backtest import run_backtest, source_of
from fraud_rules.backtest.history import History
from fraud_rules.backtest.questions import Cents
from fraud_rules.evaluator import compile_conditions
from fraud_rules.facts import VOCABULARY, Value

_ROUNDS: Final = 3


def main(
    count: Annotated[int, typer.Option(help="How many payments.", min=1)] = 50_000,
    at_least: Annotated[int, typer.Option(help="Payments a second of CPU that must be reached.")] = 20_000,
) -> None:
    """Measure a backtest of fifty rules, and the plain evaluator beside it."""
    with tempfile.TemporaryDirectory() as folder:
        rules, data = Path(folder, "rules.yaml"), Path(folder, "payments.csv")
        rules.write_text(ruleset_text(), encoding="utf-8")
        took = _cpu(lambda: write(data, count, 7, 90))
        print(f"generator: {count:,} payments, {count / took:,.0f} a second")
        ruleset = load_ruleset(rules)
        facts = _facts(ruleset, data)
        evaluate = compile_conditions(ruleset.conditions)
        rounds = [
            (
                _cpu(lambda: run_backtest(source_of(data), ruleset, None, lambda share: None)),
                _cpu(lambda: [evaluate(one) for one in facts]),
            )
            for _ in range(_ROUNDS)
        ]
        ruleset.close()
    whole, plain = (min(times) for times in zip(*rounds, strict=True))
    print(
        f"backtest:  {len(ruleset.rules)} rules, {len(ruleset.velocity)} velocity facts, {count / whole:,.0f} a second"
    )
    print(f"evaluator: {count / plain:,.0f} a second; the backtest takes {whole / plain:.1f} times as long")
    raise typer.Exit(0 if count / whole >= at_least else 1)


def _facts(ruleset: Ruleset, data: Path) -> list[dict[str, Value]]:
    """The facts of each payment as the rules see them, read and counted beforehand."""
    history, cents, known = History(ruleset.velocity, Cents(ruleset.rates)), Cents(ruleset.rates), []
    for payment in source_of(data).open(VOCABULARY, VOCABULARY, None).payments(lambda share: None):
        history.tell(payment)
        payment.facts["amount_usd"] = cents.convert(payment.amount, payment.currency) or 0
        history.add(payment)
        known.append(payment.facts)
    return known


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    typer.run(main)
