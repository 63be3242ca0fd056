"""One look for all patterns of a text never hides what one of them would find."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fraud_rules import load_ruleset
from fraud_rules.facts import VOCABULARY
from fraud_rules.patterns import compile_any, compile_pattern

PATTERNS = (r"^a+@", r"b$", r"(?i)C", r"d|e", r"\d{2}", r"[^a-z@.]", "", r"\Qf.g", r"(?P<n>x)y", r"(?P<n>z)")
EMAIL = VOCABULARY["email"]


@given(
    st.lists(st.sampled_from(PATTERNS), min_size=2, max_size=5, unique=True), st.text("aAbcCdef.ghxyz@09\n", max_size=8)
)
def test_they_find_something_exactly_where_one_of_them_does(patterns: list[str], text: str) -> None:
    joined = compile_any(patterns, EMAIL)
    alone = any(compile_pattern(pattern, EMAIL).search(text) is not None for pattern in patterns)
    assert joined is None or (joined.search(text) is not None) is alone


def test_a_quotation_that_may_reach_into_the_next_pattern_keeps_patterns_apart() -> None:
    assert compile_any((r"\Qa", "b"), EMAIL) is None


def test_rules_with_several_patterns_on_one_text_fire_each_for_its_own(tmp_path: Path) -> None:
    rules = "".join(
        f"  - id: r{number}\n    when: 'matches(email, r\"{pattern}\")'\n    score: 0.1\n"
        for number, pattern in enumerate((r"^a", r"b@", r"\d"))
    )
    path = tmp_path / "rules.yaml"
    path.write_text(f"ruleset: t\nthresholds: {{challenge: 0.5, review: 0.7, block: 0.9}}\nrules:\n{rules}")
    ruleset = load_ruleset(path)
    fired = {email: ruleset.decide({"email": email}).fired for email in ("ab@x", "cb@x", "c1@x", "c@x")}
    assert fired == {"ab@x": ("r0", "r1"), "cb@x": ("r1",), "c1@x": ("r2",), "c@x": ()}
