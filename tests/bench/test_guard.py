"""The guard tells what became dearer from what only looks so, and cleans up after itself."""

import subprocess
import time
from array import array
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import typer

from bench.guard import CHECKOUT, _rank_sums_outside, _worktree, center, cost, judge
from bench.run import Measured
from bench.stand_in import StandIn


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


in_a_clone = pytest.mark.skipif(not (CHECKOUT / ".git").exists(), reason="needs git's history")


@pytest.mark.parametrize(("count", "smallest"), [(6, 0), (8, 3), (12, 13), (20, 52), (24, 81)])
def test_the_interval_is_that_of_signed_ranks(count: int, smallest: int) -> None:
    """The largest sum of ranks that is significant at 5 %, two-sided, of the tables of Wilcoxon's test."""
    assert _rank_sums_outside(count) == smallest + 1


def test_the_center_lies_among_the_means_of_pairs() -> None:
    assert center([1, 2, 3, 4, 5, 6]) == (3.5, 1, 6)


def test_few_values_make_no_interval() -> None:
    with pytest.raises(ValueError, match="5 values"):
        center([1, 2, 3, 4, 5])


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = Random(1)
    held = 0
    for _ in range(2_000):
        _, low, high = center([random.gauss(0, 0.2) for _ in range(12)])
        held += low <= 0 <= high
    assert held / 2_000 >= 0.945


def rounds(seed: int, ratio: float, noise: float) -> list[float]:
    random = Random(seed)
    return [ratio * random.lognormvariate(0, noise) for _ in range(24)]


def test_noise_is_no_regression() -> None:
    assert [seed for seed in range(200) if judge(rounds(seed, 1.0, 0.1)).slower] == []


def test_a_fifth_more_is_one() -> None:
    assert sum(judge(rounds(seed, 1.2, 0.07)).slower for seed in range(200)) >= 198


def test_one_wild_pair_decides_nothing() -> None:
    assert not judge([1.0] * 11 + [40.0]).slower


def test_what_may_be_chance_is_not_said_to_be_slower() -> None:
    wide = judge([0.7, 0.8, 0.95, 1.0, 1.1, 1.2, 1.25, 1.3, 1.35, 1.4, 1.5, 2.0])
    assert wide.ratio > 1.15
    assert not wide.slower


@in_a_clone
def test_a_revision_is_checked_out_for_the_while() -> None:
    with _worktree("HEAD") as tree:
        assert (tree / "server" / "cli.py").is_file()
        assert str(tree) in git("worktree", "list")
    assert not tree.exists()
    assert str(tree) not in git("worktree", "list")


@in_a_clone
def test_an_unknown_revision_is_said_to_be_unknown() -> None:
    with pytest.raises(typer.BadParameter, match="no-such-revision"), _worktree("no-such-revision"):
        pass


def test_a_payments_cost_is_that_of_the_groups_that_are_asked_for() -> None:
    cpu_ms = {"server": 2.0, "postgres": 1.0, "worker": 0.5, "envoy": 0.1}
    measured = Measured(9.0, Counter(ok=9), array("f"), cpu_ms, {})
    assert cost(measured) == 3.0
    assert cost(measured, ["server"]) == 2.0
    with pytest.raises(RuntimeError, match="no payment"):
        cost(Measured(0.0, Counter(refused=3), array("f"), {"server": 0.0, "postgres": 0.0}, {}))


def test_the_stand_in_burns_what_it_is_told() -> None:
    """Half as much as the process takes otherwise, however often it is asked."""
    began = time.process_time()
    stand_in = StandIn(0, burn=0.5)
    for _ in range(10):
        took = time.process_time() + 0.01
        while time.process_time() < took:
            pass
        stand_in._burn_some()
    took = time.process_time() - began
    assert took >= 0.15
    assert stand_in._burnt_s == pytest.approx((took - stand_in._burnt_s) / 2, abs=0.01)


def test_the_guard_runs_in_a_checkout() -> None:
    assert Path(CHECKOUT, "bench", "guard.py").is_file()
