"""The made-up payments of `bench.payments`: always the same, in order, with fraud that rules can find."""

from collections import Counter
from pathlib import Path

import pytest

from bench.backtest_rules import PAST, ruleset_text
from bench.patterns import CAMPAIGNS
from bench.payments import rows, write
from fraud_rules.backtest import source_of
from fraud_rules.backtest.columns import plan_columns
from fraud_rules.facts import VOCABULARY
from tests.fraud_rules.backtest.datafiles import judge

COUNT = 12_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "payments.csv"
    write(path, COUNT, 7, 60)
    return path


def test_the_same_seed_makes_the_same_bytes(made: Path, tmp_path: Path) -> None:
    write(tmp_path / "again.csv", COUNT, 7, 60)
    write(tmp_path / "other.csv", COUNT, 8, 60)
    assert (tmp_path / "again.csv").read_bytes() == made.read_bytes() != (tmp_path / "other.csv").read_bytes()


def test_every_column_is_one_that_a_backtest_reads(made: Path) -> None:
    header = made.read_text().partition("\n")[0].split(",")
    assert plan_columns(header, VOCABULARY, ["card"]).notes == ()


def test_there_are_as_many_as_asked_for_in_the_order_of_time(made: Path) -> None:
    payments = list(source_of(made).open(VOCABULARY, ["card"], None).payments(lambda share: None))
    assert len(payments) == COUNT
    assert 0.5 < sum(payment.label is not None for payment in payments) / COUNT < 0.9


def test_every_pattern_is_planted() -> None:
    found = Counter(row.fraud for row in rows(40_000, 7, 60))
    assert set(found) == {"", *(campaign.__name__ for campaign, _, _ in CAMPAIGNS)}
    assert 0.95 < found[""] / 40_000 < 0.99


def test_rules_over_the_past_find_the_planted_fraud(made: Path, tmp_path: Path) -> None:
    report = judge(tmp_path, made, ruleset_text())
    precision = {one.id: one.hits.precision for one in report.ruleset.rules}
    assert len(precision) == 50
    assert {name for name, _, _ in PAST} <= set(precision)
    found = {
        name: value for name, value in precision.items() if name in {"cards_by_ip", "ip_declines", "device_declines"}
    }
    assert all(value is not None and value > 0.9 for value in found.values())
