"""A whole backtest over a few payments whose numbers can be counted by hand."""

from pathlib import Path

import pytest

from fraud_rules.backtest import DataError
from fraud_rules.backtest.report import Sum, Sums
from fraud_rules.decision import CURRENCY_WITHOUT_RATE, Outcome
from fraud_rules.evaluator import compile_conditions, compile_tests
from tests.fraud_rules.backtest.datafiles import judge, row, write_csv
from tests.fraud_rules.rulefiles import load_text, rule, ruleset_text

VELOCITY = 'count("payments", by="card", within="1h") >= 2'
DATA = [
    row(0, card="a", label="legit"),
    row(60, card="a", label="legit"),
    row(120, card="a", label="fraud", amount=30_000),
    row(180, card="b", label="fraud", ip_country="NG"),
    row(90_000, card="a", label="", ip_country="NG"),
    row(90_060, card="c", label="legit", ip_country="NG", amount=50_000),
]
RULES = ruleset_text(rule("often", VELOCITY, "action: block"), rule("abroad", 'ip_country == "NG"', "score: 0.6"))


def test_hits_money_precision_and_what_is_alone(tmp_path: Path) -> None:
    report = judge(tmp_path, write_csv(tmp_path, DATA), RULES)
    often, abroad = report.ruleset.rules
    assert often.hits == often.unique == Sums(fraud=Sum(1, 30_000))
    assert abroad.hits == Sums(Sum(1, 10_000), Sum(1, 50_000), Sum(1, 10_000))
    assert (often.hits.precision, abroad.hits.precision) == (1.0, 0.5)
    assert report.payments == Sums(Sum(2, 40_000), Sum(3, 70_000), Sum(1, 10_000))
    assert report.ruleset.of(Outcome.BLOCK) == Sums(fraud=Sum(1, 30_000))
    assert report.ruleset.of(Outcome.REVIEW) == abroad.hits


def test_days_add_up_to_the_whole(tmp_path: Path) -> None:
    report = judge(tmp_path, write_csv(tmp_path, DATA), RULES, RULES)
    assert [day.day.isoformat() for day in report.days] == ["2026-03-01", "2026-03-02"]
    assert sum((day.total for day in report.days), Sums()) == report.payments
    assert report.days[0].outcomes[Outcome.BLOCK] == report.days[0].live[Outcome.BLOCK] == Sums(fraud=Sum(1, 30_000))


def test_overlap_is_counted_once_a_pair_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = ruleset_text(*(rule(name, "amount > 20_000") for name in ("zeta", "alpha")), rule("all", "amount > 0"))
    report = judge(tmp_path, write_csv(tmp_path, DATA), text)
    assert report.ruleset.overlap == {("zeta", "alpha"): 2, ("zeta", "all"): 2, ("alpha", "all"): 2}
    assert [one.unique.all.count for one in report.ruleset.rules] == [0, 0, 4]


def test_changes_against_the_live_ruleset(tmp_path: Path) -> None:
    live = ruleset_text(
        rule("abroad", 'ip_country == "NG"', "action: block"), rule("gone", "amount < 0"), rule("kept", "amount < 0")
    )
    new = RULES + rule("kept", "amount < 0")
    report = judge(tmp_path, write_csv(tmp_path, DATA), new, live)
    assert [(one.id, one.change) for one in report.ruleset.rules] == [
        ("often", "new"),
        ("abroad", "changed"),
        ("kept", ""),
    ]
    assert report.removed == ("gone",)
    assert report.changed(newly=Outcome.BLOCK) == Sums(fraud=Sum(1, 30_000))
    assert report.no_longer(Outcome.BLOCK).all == Sum(3, 70_000)
    assert sum((one.payments for one in report.changes), Sums()) == report.payments
    assert report.live is not None and report.live.of(Outcome.BLOCK).all.count == 3


def test_the_curve_blocks_what_each_threshold_would(tmp_path: Path) -> None:
    report = judge(tmp_path, write_csv(tmp_path, DATA), RULES)
    blocked = {point.block_thousandths: point.blocked.all.count for point in report.ruleset.curve}
    assert (blocked[50], blocked[600], blocked[650], blocked[1_000]) == (4, 4, 1, 1)


def test_shadow_rules_are_counted_and_decide_nothing(tmp_path: Path) -> None:
    text = ruleset_text(
        rule("watch", "amount > 0", "action: block\n    mode: shadow"),
        rule("off", "amount > 0", "score: 1\n    mode: off"),
    )
    report = judge(tmp_path, write_csv(tmp_path, DATA), text)
    assert [(one.id, one.mode, one.hits.all.count) for one in report.ruleset.rules] == [("watch", "shadow", 6)]
    assert report.ruleset.of(Outcome.ALLOW).all.count == 6


def test_merchants_have_their_own_past_rules_and_thresholds(tmp_path: Path) -> None:
    head = "thresholds: {block: 0.8}\nmerchants: {mer_b: {thresholds: {block: 0.5}, off: [often]}}\n"
    text = ruleset_text(
        rule("often", VELOCITY, "action: block"), rule("large", "amount > 20_000", "score: 0.6"), head=head
    )
    shops = [one | {"merchant": "mer_b" if place % 2 else "mer_a"} for place, one in enumerate(DATA * 1)]
    report = judge(tmp_path, write_csv(tmp_path, shops), text)
    assert {one.id: one.hits.all.count for one in report.ruleset.rules} == {"often": 0, "large": 2}
    assert report.ruleset.of(Outcome.BLOCK).all == Sum(1, 50_000)  # the other large one is of the milder merchant


def test_a_past_across_merchants_is_that_of_all_of_them(tmp_path: Path) -> None:
    data = [row(second, card="a", merchant=f"m{second % 3}") for second in range(6)]
    data.append(row(10_000, card="a", merchant="m1"))
    report = judge(
        tmp_path,
        write_csv(tmp_path, data),
        ruleset_text(
            rule("here", 'count("payments", by="card", within="1h") >= 2'),
            rule("anywhere", 'count("payments", by="card", within="1h", across="platform") >= 2'),
            rule("shops", 'distinct("merchant", by="card", within="1h", across="platform") >= 3'),
        ),
    )
    assert [one.hits.all.count for one in report.ruleset.rules] == [0, 4, 3]


def test_a_share_of_customers_is_always_the_same(tmp_path: Path) -> None:
    text = ruleset_text(rule("half", "amount > 0", "action: block\n    percent: 50"))
    people = [row(second, customer=f"c{second % 40}", label="legit") for second in range(400)]
    report = judge(tmp_path, write_csv(tmp_path, people), text)
    ruleset = load_text(tmp_path, text)
    expected = sum(
        ruleset.decide({"amount": 1, "customer": str(one["customer"])}).outcome is Outcome.BLOCK for one in people
    )
    ruleset.close()
    assert 0 < report.ruleset.of(Outcome.BLOCK).all.count == expected < 400
    assert report.ruleset.rules[0].hits.all.count == 400


def test_a_currency_without_a_rate_goes_to_review_and_is_told(tmp_path: Path) -> None:
    text = ruleset_text(rule("large", "amount_usd > 1_000"))
    report = judge(tmp_path, write_csv(tmp_path, [row(0), row(1, currency="XTS")]), text)
    assert report.without_rate == 1
    assert report.ruleset.of(Outcome.REVIEW).all == Sum(1, 0)
    assert [one.id for one in report.ruleset.rules] == ["large", CURRENCY_WITHOUT_RATE]


def test_what_was_blocked_then_is_told_apart(tmp_path: Path) -> None:
    report = judge(tmp_path, write_csv(tmp_path, [row(0, blocked="true"), row(1, blocked="false")]), RULES)
    assert report.blocked_then == Sums(unlabelled=Sum(1, 10_000))


def test_a_file_without_payments_has_an_empty_report(tmp_path: Path) -> None:
    path = tmp_path / "payments.csv"
    path.write_text("time,amount,currency\n")
    report = judge(tmp_path, path, RULES)
    assert (report.payments, report.first, report.days) == (Sums(), None, ())


def test_a_bad_row_ends_the_backtest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"payments\.csv:3: amount: is not a whole number"):
        judge(tmp_path, write_csv(tmp_path, [row(0), row(1, amount="x")]), RULES)


def test_every_payment_is_judged_as_the_gateway_would_judge_it(tmp_path: Path) -> None:
    """`Ruleset.decide` runs the engine; a backtest, which does not, says the same of each payment."""
    text = ruleset_text(
        rule("abroad", "ip_country != card_country", "score: 0.3"),
        rule("mail", r'matches(email, r"^\d+@") or email.endswith(".example")', "score: 0.4"),
        rule("large", "amount_usd > 500 and not cvc_given", "action: review"),
        rule("known", "known(device) and hour < 6", "score: 0.2"),
        head='applies_to: method in ["credit_card"]\nthresholds: {challenge: 0.3, review: 0.6, block: 0.7}\n',
    )
    places, mails = ("US", "NG", ""), ("1@a.org", "b@c.example", "d@e.org", "")
    rows = [
        row(
            second, ip_country=places[second % 3], card_country=places[second % 2], email=mails[second % 4],
            cvc_given=("true", "false", "")[second % 3], amount=second * 200, device="d" * (second % 2),
            method=("credit_card", "CREDIT_CARD", "bank_transfer")[second % 5 % 3], hour=second % 24, currency="EUR",
        )
        for second in range(500)
    ]  # fmt: skip
    report = judge(tmp_path, write_csv(tmp_path, rows), text)
    ruleset = load_text(tmp_path, text)
    typed = {"true": True, "false": False, "": None}
    decisions = [ruleset.decide({**one, "cvc_given": typed[str(one["cvc_given"])]}) for one in rows]  # type: ignore[dict-item]
    ruleset.close()
    for outcome in Outcome:
        assert report.ruleset.of(outcome).all.count == sum(one.outcome is outcome for one in decisions)
    for one in report.ruleset.rules:
        assert one.hits.all.count == sum(one.id in decision.fired for decision in decisions)
    assert {row.score_thousandths for row in report.ruleset.scores} == {one.score_thousandths for one in decisions}


def test_tests_of_truth_alone_agree_with_the_evaluator(tmp_path: Path) -> None:
    ruleset = load_text(tmp_path, RULES + rule("odd", 'not (email == "a" or hour > 3) and known(card)'))
    tests, evaluate = compile_tests(ruleset.conditions), compile_conditions(ruleset.conditions)
    ruleset.close()
    for facts in ({}, {"email": "b", "hour": 2, "card": "x"}, {"email": "b", "card": "x"}, {"ip_country": "NG"}):
        assert tests(facts) == [truth is True for truth in evaluate(facts)]  # type: ignore[arg-type]


def test_what_a_list_held_at_run_time_is_taken_from_its_column(tmp_path: Path) -> None:
    text = ruleset_text(rule("bad", 'card in list("bad_cards")', "action: block"), head="lists: [bad_cards]\n")
    rows = [row(0, card="a", listed_bad_cards_card="true"), row(1, card="a", listed_bad_cards_card="false")]
    report = judge(tmp_path, write_csv(tmp_path, rows), text)
    assert report.ruleset.rules[0].hits.all.count == 1
