"""How findings are told."""

from fraud_rules.errors import Problem


def test_what_a_file_holds_never_reaches_a_terminal_raw() -> None:
    problem = Problem("a\u2029.yaml", 1, 1, "no list \u200b\x1b[31m", "declare \u200b\udc80\n")
    assert str(problem) == "a\\u2029.yaml:1:1: error: no list \\u200b\\x1b[31m (declare \\u200b\\udc80\\n)"


def test_what_is_printable_stays_as_it_is() -> None:
    assert str(Problem("ü.yaml", 1, 2, "no fact 'é'")) == "ü.yaml:1:2: error: no fact 'é'"


def test_what_a_file_holds_is_not_quoted_at_any_length() -> None:
    assert len(str(Problem("cards.yaml", 1, 1, "m" * 10_000, "h" * 10_000))) < 1_000
