"""The fuzzers in short: what they find nothing in, and that they would find something."""

import itertools
import sys
from collections import Counter
from random import Random
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_rules import compiler
from fraud_rules.errors import Problem, RulesError
from fraud_rules.expressions import NEGATED, Operator
from fraud_rules.loading import check_sources
from fraud_rules.ruleset import conditions_of
from fraud_rules.sources import Sources
from tests.fraud_rules import fuzz_back_ends, fuzz_files, fuzzing
from tests.fraud_rules.fuzzing import Finding, watch


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(draw=st.randoms(use_true_random=False))
def test_both_back_ends_and_the_book_agree_on_what_hypothesis_makes_up(draw: Random) -> None:
    fuzz_back_ends.compare(draw, most_rules=6, count=6)


@pytest.mark.parametrize("seed", range(4))
def test_both_back_ends_and_the_book_agree_on_rulesets_of_up_to_120_rules(seed: int) -> None:
    counted = fuzz_back_ends.compare(Random(seed), most_rules=120, count=25)
    assert counted["evaluations"] == 25
    assert counted["fired"] > 0


def test_a_wrong_back_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "NEGATED", {**NEGATED, Operator.LT: Operator.GT})
    with pytest.raises(fuzz_back_ends.DisagreementError, match="differ"):
        for seed in range(10):
            fuzz_back_ends.compare(Random(seed), most_rules=120, count=50)


CHILD = """
import os, signal, sys
from collections import Counter
from tests.fraud_rules.fuzzing import serve

def round_of(seed):
    if seed == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    if seed == 4:
        raise ValueError("the fourth is wrong")
    while seed == 6:
        pass
    return Counter(rounds=1)

serve(round_of, int(sys.argv[2]), int(sys.argv[4]), 1)
"""


def test_a_crash_an_exception_and_a_hang_are_findings_and_the_rounds_go_on() -> None:
    rounds = watch([sys.executable, "-c", CHILD], first=1, batch=3)
    results = list(itertools.islice(rounds, 7))
    rounds.close()
    found = {result.seed: result.what for result in results if isinstance(result, Finding)}
    assert list(found) == [2, 4, 6]
    assert "SIGSEGV" in found[2]
    assert "the fourth is wrong" in found[4]
    assert "took too long" in found[6]
    assert sum((result for result in results if isinstance(result, Counter)), Counter()) == {"rounds": 4}


def test_the_command_runs_as_many_evaluations_and_says_how_to_see_a_finding_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fine = iter([Counter(evaluations=6, rulesets=1), Counter(evaluations=6, rulesets=1), Counter(evaluations=6)])
    assert fuzzing.run(fine, "evaluations", 10, ["python", "-m", "fuzz"]) == 0
    assert "12 evaluations, 2 rulesets; 0 findings" in capsys.readouterr().out
    bad: list[Counter[str] | Finding] = [Finding(7, "it differs"), Counter(evaluations=10)]
    assert fuzzing.run(iter(bad), "evaluations", 10, ["python", "-m", "fuzz"]) == 1
    assert "-m fuzz --evaluations 1 --seed 7\nit differs" in capsys.readouterr().out


@pytest.mark.parametrize("first", range(0, 240, 40))
def test_hostile_files_are_read_or_refused_with_a_place(first: int) -> None:
    counted = sum((fuzz_files.try_round(seed) for seed in range(first, first + 40)), Counter())
    assert counted["refused"] > 0
    assert counted["sound"] > 0


def test_what_no_file_may_do_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Sources("cards.yaml", fuzz_files.RULES[0], {}, fuzz_files.EXCHANGE)
    assert fuzz_files.try_sources(Random(1), sound) == {"files": 1, "sound": 1}
    with monkeypatch.context() as patch:
        patch.setattr(fuzz_files, "_SECONDS", 0.0)
        with pytest.raises(AssertionError, match="reading took"):
            fuzz_files.try_sources(Random(1), sound)
    raw = Problem("cards.yaml", 1, 1, "")
    object.__setattr__(raw, "message", "two\nlines")  # as it would be told, were it not escaped
    for problems, complaint in (
        ([], "nothing is an error"),
        ([Problem("cards.yaml", 0, 0, "something is wrong")], "no place"),
        ([Problem("cards.yaml", 999, 1, "something is wrong")], "no such line"),
        ([raw], "control characters"),
    ):
        monkeypatch.setattr(fuzz_files, "check_sources", Mock(side_effect=RulesError(problems)))
        with pytest.raises(AssertionError, match=complaint):
            fuzz_files.try_sources(Random(1), sound)


def test_a_rule_that_is_silently_always_true_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Sources("cards.yaml", fuzz_files.RULES[0], {}, fuzz_files.EXCHANGE)
    count = len(conditions_of(check_sources(sound).file))
    monkeypatch.setattr(fuzz_files, "compile_conditions", lambda conditions: lambda facts: [True] * count)
    with pytest.raises(AssertionError, match="always true"):
        fuzz_files.try_sources(Random(1), sound)
