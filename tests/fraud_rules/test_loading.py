"""From a file to a ruleset: what is accepted, what is refused and with which words, and what its hash covers."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_rules import DEFAULT_RULES, Problem, RulesError, Severity, Sources, check_sources, load_ruleset
from fraud_rules.analysis import analyse
from fraud_rules.document import read_document
from fraud_rules.loading import read_file
from fraud_rules.rulefile import read_rules
from fraud_rules.sources import RATES
from fraud_rules.velocity import BY, PLATFORM_BY
from tests.fraud_rules.rulefiles import load_text, rule, ruleset_text, write_rules


def problems(text: str | bytes) -> list[str]:
    """Every finding as one line, errors only."""
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(RulesError) as caught:
        read_rules(content, "f.yaml", {})
    return [str(problem) for problem in caught.value.problems if problem.severity is Severity.ERROR]


ONE = "ruleset: cards\nrules:\n  - id: one\n    when: amount > 5\n    score: 0.1\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ONE.replace("amount >", "amuont >"), "f.yaml:4:11: error: unknown fact 'amuont' (did you mean 'amount'?)"),
        (ONE.replace("amount > 5", '"amuont > 5"'), "f.yaml:4:12: error: unknown fact 'amuont'"),
        (ONE.replace("amount > 5", "|\n      hour > 5 and\n      amuont > 5"), "f.yaml:6:7: error: unknown fact"),
        (ONE.replace("amount > 5", ">-\n      hour > 5\n      and amuont > 5"), "f.yaml:6:11: error: unknown fact"),
        (ONE.replace("amount > 5", "hour > 5\n      and amuont > 5"), "f.yaml:5:11: error: unknown fact"),
        (ONE.replace("score: 0.1", "scoer: 0.1"), "f.yaml:5:5: error: a rule has no field 'scoer' (did you mean"),
        (ONE.replace("score: 0.1", "score: 0.1234"), "f.yaml:5:12: error: not a decimal from -1 to 1"),
        (ONE.replace("score: 0.1", "score: 1.001"), "f.yaml:5:12: error: not a decimal from -1 to 1"),
        (ONE.replace("score: 0.1", "score: 0"), "f.yaml:5:12: error: a score of 0 does nothing"),
        (ONE.replace("score: 0.1", "score: 1e-1"), "f.yaml:5:12: error: '1e-1' is not a decimal number"),
        (ONE.replace("score: 0.1", "action: stop"), "f.yaml:5:13: error: 'stop' is not allowed here"),
        (ONE.replace("score: 0.1", "why: no"), "f.yaml:3:5: error: a rule has a score or an action"),
        (ONE + "    action: block\n", "f.yaml:3:5: error: a rule has a score or an action"),
        (ONE + "    mode: on\n", "f.yaml:6:11: error: 'on' is not allowed here (it is one of live, shadow, off)"),
        (ONE + "    percent: 101\n", "f.yaml:6:14: error: '101' is not a whole number from 1 to 100"),
        (ONE + "    percent: ٣\n", "f.yaml:6:14: error: '٣' is not a whole number"),
        (ONE + "    mode: shadow\n    percent: 5\n", "f.yaml:7:14: error: percent is for live rules"),
        (ONE.replace("id: one", "id: One!"), "f.yaml:3:9: error: the rule's id 'One!' is not a name"),
        (ONE.replace("id: one", "id: screening_failed"), "f.yaml:3:9: error: screening_failed is the id of a built-in"),
        (ONE.replace("id: one\n    ", ""), "f.yaml:3:5: error: the rule's id is missing"),
        (ONE.replace("when: amount > 5\n    ", ""), "f.yaml:3:5: error: the rule has no `when`"),
        (ONE.replace("when: amount > 5", "when: [amount]"), "f.yaml:4:11: error: a text is needed here"),
        (ONE + ONE.partition("rules:\n")[2], "f.yaml:6:5: error: the id 'one' is that of the rule in line 3"),
        (ONE.replace("ruleset: cards\n", ""), "f.yaml:1:1: error: the ruleset's name, `ruleset:`, is missing"),
        ("ruleset: cards\n", "f.yaml:1:1: error: the file has no rules"),
        ("ruleset: cards\nrules: 5\n", "f.yaml:2:8: error: rules are a list"),
        ("- 5\n", "f.yaml:1:1: error: a rule file is a table"),
        (ONE + "thresholds: {block: 0.3, review: 0.5}\n", "f.yaml:6:13: error: thresholds must rise"),
        (ONE + "thresholds: {block: 0}\n", "f.yaml:6:21: error: not a decimal from 0.001 to 1"),
        (ONE + "thresholds: {deny: 0.3}\n", "f.yaml:6:14: error: thresholds has no field 'deny'"),
        (ONE + "applies_to: method == 5\n", "f.yaml:6:23: error: text compared with integer"),
        (ONE + "    tests: [{given: {amuont: 5}, fires: true}]\n", "f.yaml:6:22: error: unknown fact 'amuont'"),
        (ONE + "    tests: [{given: {amount: x}, fires: true}]\n", "f.yaml:6:30: error: 'x' is not a decimal number"),
        (ONE + "    tests: [{given: {hour: 24}, fires: true}]\n", "f.yaml:6:28: error: hour is never 24"),
        (
            ONE + "    tests: [{given: {cvc_given: yes}, fires: true}]\n",
            "f.yaml:6:33: error: cvc_given is true or false",
        ),
        (ONE + "    tests: [{given: {}, fires: yes}]\n", "f.yaml:6:32: error: 'yes' is neither true nor false"),
        (ONE + "    tests: [{given: {}}]\n", "f.yaml:6:13: error: a test needs `given` and `fires`"),
        (ONE + "tests: [{given: {}, outcome: DENY}]\n", "f.yaml:6:30: error: 'DENY' is not allowed here"),
        (ONE.replace("id: one", "id: &a one"), "f.yaml:3:9: error: an anchor is not allowed here"),
        (ONE.replace("id: one", "id: !!str one"), "f.yaml:3:9: error: a tag is not allowed here"),
        (ONE + "    id: two\n", "f.yaml:6:5: error: the key 'id' twice is not allowed here"),
        (ONE + "---\na: b\n", "f.yaml:6:1: error: a second document is not allowed here"),
        (ONE + "  when: [\n", "f.yaml:"),
        ("a: *b\n", "f.yaml:1:4: error: an alias is not allowed here"),
        ("[a]: b\n", "f.yaml:1:1: error: a key that is not a text is not allowed here"),
        ("", "f.yaml:1:1: error: the file is empty"),
        ("# nothing\n", "f.yaml:1:1: error: the file is empty"),
    ],
)
def test_mistakes_are_told_by_line_and_column(text: str, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in problems(text)), problems(text)


def test_all_mistakes_are_told_at_once_and_in_order() -> None:
    text = ONE.replace("amount > 5", "amuont > 5") + "  - id: two\n    when: 3\n    mode: on\n"
    assert [problem.split(":")[1] for problem in problems(text)] == ["4", "6", "7", "8"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"\x00" * 100,
        b"a: \xed\xa0\x80\n",
        b"\x1b[31m: red",
        b"[" * 100_000,
        b"{a: " * 50_000,
        b"- " * 100_000,
        b"? " * 50_000,
        b"'" * 99_999,
        b"!" * 100_000,
        b"&a " * 1_000,
        b"%YAML 9.9\n---\na: b",
        b"a: " + b"x" * 1_000_001,
        "\u2028\u0085: \ufeff".encode(),
        b"ruleset: a\nrules:\n" + b"  - {id: a, when: 'amount > 5', score: 0.1}\n" * 2_500,
        b"ruleset: a\nrules:\n  - {id: a, when: '" + b"(" * 900_000 + b"'}\n",
    ],
)
def test_hostile_files_are_refused(content: bytes) -> None:
    assert problems(content)


def test_nesting_is_refused_before_it_can_hurt() -> None:
    assert problems(b"[" * 17) == ["f.yaml:1:17: error: nesting past 16 levels is not allowed here"]


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read_document(content, "f.yaml")
    except RulesError as error:
        assert error.problems


DEFAULT = DEFAULT_RULES.read_bytes()


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_damage_to_a_file_is_read_or_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(DEFAULT)))
    end = data.draw(st.integers(start, min(len(DEFAULT), start + 40)))
    damaged = DEFAULT[:start] + data.draw(st.binary(max_size=10)) + DEFAULT[end:]
    try:
        read_rules(damaged, "f.yaml", {})
    except RulesError as error:
        assert any(problem.severity is Severity.ERROR for problem in error.problems)


FULL = """ruleset: cards
applies_to: method == "credit_card"
thresholds: {challenge: 0.4, block: 1}
lists: [blocked, vip]
metadata: {gift: boolean, OrderType: text, seats: integer}
merchants: {mer_1: {thresholds: {review: 0.5}, off: [one]}}
rules:
  - id: one
    when: 'metadata_seats > 5 or ip in list("blocked") and seconds_since_last("payments", by="card") < "10m"'
    score: -0.125
    percent: 10
    merchants: [mer_1]
    tests:
      - {given: {metadata_seats: 6, listed_blocked_ip: true}, fires: true}
      - {given: {seconds_since_last_payments_by_card_ever: 10m, sum_payments_by_card_30d: 9.50}, fires: false}
"""


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_damage_to_what_a_file_declares_is_read_or_refused(data: st.DataObject) -> None:
    content = FULL.encode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 20)))
        swapped = data.draw(
            st.sampled_from([b"", b"[", b"{}", b"mer_1", b"text", b"\xff", b"'", b": ", b"\0", b"9" * 30])
        )
        content = content[:start] + swapped + content[end:]
    sources = Sources("f.yaml", content, {"blocked": b"10.0.0.0/8"}, RATES.read_bytes())
    try:
        analyse(check_sources(sources).file)
    except RulesError as error:
        assert all(problem.line >= 0 and problem.message for problem in error.problems)


@settings(max_examples=200)
@given(content=st.binary(max_size=60))
def test_any_bytes_of_a_list_are_read_or_refused_by_line(content: bytes) -> None:
    sources = Sources("f.yaml", FULL.encode(), {"blocked": content}, RATES.read_bytes())
    try:
        check_sources(sources)
    except RulesError as error:
        assert all(problem.file == "lists/blocked.txt" or problem.line for problem in error.problems)


def test_a_list_that_is_no_text_is_refused_by_line_and_column() -> None:
    with pytest.raises(RulesError, match=r"lists/bad\.txt:2:3: error: the list is not UTF-8 \(save it as UTF-8\)"):
        check_sources(Sources("f.yaml", ONE.encode(), {"bad": b"a\nbc\xff"}, RATES.read_bytes()))
    with pytest.raises(RulesError, match=r"lists/bad\.txt:1:2: error: the entry holds a null character"):
        check_sources(Sources("f.yaml", ONE.encode(), {"bad": b"a\0"}, RATES.read_bytes()))


def test_amounts_and_times_of_the_past_are_given_as_analysts_write_them() -> None:
    file = check_sources(Sources("f.yaml", FULL.encode(), {}, RATES.read_bytes())).file
    assert dict(file.rules[0].tests[1].given) == {
        "seconds_since_last_payments_by_card_ever": 600,
        "sum_payments_by_card_30d": 950,
    }


def _warnings(text: str) -> list[str]:
    return [problem.message for problem in read_rules(text.encode(), "f.yaml", {}).warnings]


def test_what_is_legal_and_odd_earns_a_warning() -> None:
    tests = "score: 0.1\n    tests: [{given: {count_payments_by_ip_60m: 1}, fires: false}]"
    text = ruleset_text(
        rule("never", "amount > 5 and amount < 3"),
        rule("one", 'count("payments", by="ip", within="1h") > 5', tests),
        rule("two", 'count("payments", by="ip", within="1h") > 5'),
    )
    found = _warnings(text)
    assert "never can never fire: it contradicts itself" in found
    assert "two asks the same as one" in found
    assert "no rule asks for count_payments_by_ip_60m" in found
    assert found.count("the rule lacks a test") == 3
    assert "the threshold challenge is out of reach: the live scores add up to 0.3" in found


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ('ip in ["10.0.0.0/8", "10.0.0.1"]', "10.0.0.0/8"),
        ('ip not in ["300.1.1.1"]', "300.1.1.1"),
        ('"localhost" == ip', "localhost"),
        ('amount > 5 and not ip == "10.0.0"', "10.0.0"),
        ('ip in list("office_ips")', "10.0.0.1 # hq"),
    ],
)
def test_what_no_address_can_equal_earns_a_warning(condition: str, text: str) -> None:
    lists = {"office_ips": ("10.0.0.0/8", "192.0.2.1", "2001:db8::1", "10.0.0.1 # hq", "what")}
    found = read_rules(ruleset_text(rule("any", condition)).encode(), "f.yaml", lists).warnings
    assert [one.message for one in found if one.message.startswith("ip is never")] == [
        f"ip is never {text!r}, which is not an IP address"
    ]


def test_addresses_earn_no_warning() -> None:
    condition = 'ip in ["10.0.0.1", "2001:DB8::1"] or ip == "192.0.2.1" or ip in list("office_ips")'
    lists = {"office_ips": ("10.0.0.0/8", "192.0.2.1")}
    found = read_rules(ruleset_text(rule("any", condition)).encode(), "f.yaml", lists).warnings
    assert not [one for one in found if "address" in one.message]


def test_scores_without_a_threshold_earn_a_warning() -> None:
    assert "rules have scores and there is no threshold" in _warnings(ONE)


def test_a_failing_test_of_the_file_keeps_it_out(tmp_path: Path) -> None:
    tests = "score: 0.1\n    tests:\n      - {given: {amount: 5}, fires: true}\n      - {given: {}, fires: true}"
    with pytest.raises(RulesError) as caught:
        load_text(tmp_path, ruleset_text(rule("any", "amount > 5", tests)))
    failed = [problem for problem in caught.value.problems if problem.severity is Severity.ERROR]
    assert [problem.line for problem in failed] == [8, 9]
    assert failed[0].message == "the test of any fails: expected fires, found does not fire"
    assert "for want of a fact" in failed[1].message


def test_a_failing_test_of_the_ruleset_keeps_it_out(tmp_path: Path) -> None:
    text = ruleset_text(rule("any", "amount > 5", "score: 0.8"))
    expected = "expected ALLOW, score 0.8, found BLOCK, score 0.8 by any"
    with pytest.raises(RulesError, match=expected):
        load_text(tmp_path, f"{text}tests:\n  - {{given: {{amount: 6}}, outcome: ALLOW}}\n")
    with pytest.raises(RulesError, match=r"expected BLOCK, score 0\.9"):
        load_text(tmp_path, f"{text}tests:\n  - {{given: {{amount: 6}}, outcome: BLOCK, score: 0.9}}\n")
    load_text(tmp_path, f"{text}tests:\n  - {{given: {{amount: 6}}, outcome: BLOCK, score: 0.8}}\n").close()


def test_an_engine_that_disagrees_keeps_the_file_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fraud_rules.engine.Engine.match", lambda *_: {0})
    with pytest.raises(RulesError, match="engine and evaluator disagree"):
        load_text(tmp_path, ruleset_text(rule("any", "amount > 5")))


def test_values_stay_what_was_written(tmp_path: Path) -> None:
    text = ruleset_text(rule("norway", 'billing_country == "NO" or billing_postcode == "012345"', "action: block"))
    rules = load_text(tmp_path, text)
    assert rules.decide({"billing_country": "no"}).fired == ("norway",)
    assert rules.decide({"billing_postcode": "012345"}).fired == ("norway",)
    assert rules.decide({"billing_postcode": "5349"}).fired == ()


def test_the_hash_covers_rules_used_lists_and_rates_and_nothing_else(tmp_path: Path) -> None:
    lists, rates = tmp_path / "lists", tmp_path / "rates.yaml"
    lists.mkdir()
    (lists / "used.txt").write_text("a\nb\n")
    (lists / "other.txt").write_text("a\n")
    rates.write_text("date: 2025-01-01\nusd_per_unit: {EUR: 1.1}\n")
    path = write_rules(tmp_path, ruleset_text(rule("any", 'email in list("used")')))

    def load() -> str:
        ruleset = load_ruleset(path, lists=lists, rates=rates)
        ruleset.close()
        return ruleset.hash

    first = load()
    (lists / "other.txt").write_text("z\n")
    (lists / "used.txt").write_text("# the same entries\na\nb  # by hand\na\n")
    assert load() == first
    (lists / "used.txt").write_text("a\nc\n")
    second = load()
    rates.write_text("date: 2025-01-01\nusd_per_unit: {EUR: 1.2}\n")
    third = load()
    path.write_text(path.read_text() + "# a comment\n")
    assert len({first, second, third, load()}) == 4


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("lists/l.txt", b"\xff", "not UTF-8"),
        ("lists/l.txt", b"x" * 2_000, "2,000 characters"),
        ("lists/l.txt", b"10.0.0.0/99\n", "does not fit ip"),
        ("rates.yaml", b"date: 2025-13-01\nusd_per_unit: {EUR: 1}\n", "is not a date"),
        ("rates.yaml", b"date: 2025-12-01\nusd_per_unit: {EUR: 0}\n", "above zero"),
        ("rates.yaml", b"date: 2025-12-01\nusd_per_unit: {EUR: 1e5}\n", "not a decimal"),
        ("rates.yaml", b"date: 2025-12-01\nusd_per_unit: {eur: 1}\n", "ISO 4217"),
        ("rates.yaml", b"date: 2025-12-01\nusd_per_unit: {USD: 2}\n", "must be 1"),
        ("rates.yaml", b"- 1\n", "is a table"),
        ("rates.yaml", b"date: 2025-12-01\n", "needs"),
    ],
)
def test_bad_lists_and_rates_are_refused(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "l.txt").write_text("10.0.0.1\n")
    (tmp_path / "rates.yaml").write_text("date: 2025-01-01\nusd_per_unit: {EUR: 1.1}\n")
    path = write_rules(tmp_path, ruleset_text(rule("any", 'ip in list("l")')))
    (tmp_path / file).write_bytes(content)
    with pytest.raises(RulesError, match=message):
        load_ruleset(path, lists=tmp_path / "lists", rates=tmp_path / "rates.yaml")


def test_a_missing_file_is_a_problem_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="cannot be read") as caught:
        load_ruleset(tmp_path / "none.yaml")
    assert isinstance(caught.value.problems[0], Problem)


def test_a_test_may_name_a_count_across_merchants(tmp_path: Path) -> None:
    for by in PLATFORM_BY:
        name = f"distinct_merchant_by_{by}_across_platform_24h"
        tests = f"score: 0.1\n    tests:\n      - {{given: {{{name}: 2}}, fires: true}}\n"
        when = f'distinct("merchant", by="{by}", within="24h", across="platform") > 1'
        [often] = read_file(write_rules(tmp_path, ruleset_text(rule("often", when, tests)))).file.rules
        assert dict(often.tests[0].given) == {name: 2}


def test_a_test_may_name_a_count_by_any_key(tmp_path: Path) -> None:
    """One key, `email`, begins another, `email_domain`."""
    for by in BY:
        tests = f"score: 0.1\n    tests:\n      - {{given: {{count_payments_by_{by}_24h: 2}}, fires: true}}\n"
        text = ruleset_text(rule("often", f'count("payments", by="{by}", within="24h") > 1', tests))
        [often] = read_file(write_rules(tmp_path, text)).file.rules
        assert dict(often.tests[0].given) == {f"count_payments_by_{by}_24h": 2}
