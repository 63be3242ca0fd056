"""`kassa rules replay` and `explain`: stored decisions, made once more and taken apart."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from server.domain.ids import Prefix, render_id
from server.domain.payment import FraudOutcome, State
from server.domain.rulesets import Role
from server.screening.gates import released_version
from server.storage.reads import get_payment
from tests.fraud_rules.rulefiles import rule
from tests.rules_cli.conftest import RULES, Counter, Desk, replayed
from tests.screening.lineups import sources
from tests.screening.test_screen import break_engine, break_evaluator


async def test_every_decision_is_replayed_bit_for_bit(desk: Desk, counter: Counter) -> None:
    paid = [await counter.pay() for _ in range(6)]
    paid.append(await counter.pay(description="gift card"))
    paid.append(await counter.pay(can_hold=False))
    paid.append(await counter.pay(currency="XAF", amount=70_000))
    outcomes = {one.fraud.outcome for one in paid if one.fraud is not None}
    assert outcomes == {FraudOutcome.ALLOW, FraudOutcome.REVIEW, FraudOutcome.BLOCK}
    no_shadows = {"replayed": 0, "differing": 0, "left_out": 0}
    told = await replayed(desk, "--last", "100")
    assert told == {"replayed": 9, "undecided": 0, "shadows": no_shadows, "differences": []}
    assert (await replayed(desk, "--last", "4"))["replayed"] == 4
    assert (await replayed(desk, "--since", "1h"))["replayed"] == 9
    assert (await replayed(desk, "--since", "2099-01-01"))["replayed"] == 0
    name = render_id(Prefix.PAYMENT, paid[0].id)
    assert (await replayed(desk, name))["replayed"] == 1
    code, output = await asyncio.to_thread(desk.run, "replay", name)
    assert (code, "1 decisions replayed, 0 differ." in output, "shadow" in output) == (0, True, False)


async def test_decisions_of_shadows_are_replayed_by_their_own_facts(desk: Desk, counter: Counter) -> None:
    when = 'distinct("ip", by="email", within="24h") >= 0 and amount > 5'
    counter.shadow(sources(rule("dark", when, "score: 0.25")))
    payment = await counter.pay()
    counter.shadow(sources(rule("darker", "amount > 6", "action: block")))
    await counter.pay()
    both = {"replayed": 2, "differing": 0, "left_out": 0}
    assert (await replayed(desk, "--last", "5"))["shadows"] == both
    code, output = await asyncio.to_thread(desk.run, "replay", "--last", "5")
    assert (code, "2 shadow decisions replayed, 0 differ." in output) == (0, True)
    with counter.till.engine.begin() as connection:
        spoil = """UPDATE fraud_decisions SET shadows = jsonb_set(shadows, '{0,facts}', '{}') WHERE payment_id = :id"""
        connection.execute(text(spoil), {"id": payment.id})
    told = await replayed(desk, "--last", "5", code=1)
    assert told["shadows"] == both | {"differing": 1}
    assert {one["payment"] for one in told["differences"]} == {render_id(Prefix.PAYMENT, payment.id)}
    assert payment.fraud is not None
    assert {one["difference"]["shadow"] for one in told["differences"]} == {payment.fraud.shadows[0].ruleset}
    code, output = await asyncio.to_thread(desk.run, "replay", "--last", "5")
    assert (code, "0 differ" in output, "2 shadow decisions replayed, 1 differ." in output) == (1, True, True)


async def test_shadows_without_their_facts_are_counted_and_left_out(desk: Desk, counter: Counter) -> None:
    counter.shadow(sources(rule("dark", "amount > 5", "score: 0.25")))
    await counter.pay()
    with counter.till.engine.begin() as connection:
        connection.execute(text("UPDATE fraud_decisions SET shadows = shadows #- '{0,facts}' #- '{0,backend}'"))
    told = await replayed(desk, "--last", "1")
    assert told["shadows"] == {"replayed": 0, "differing": 0, "left_out": 1}


async def test_a_decision_is_replayed_by_its_own_version_whatever_is_live_by_now(desk: Desk, counter: Counter) -> None:
    await counter.pay(description="gift card")
    await asyncio.to_thread(desk.run, "promote", desk.file("5"), "--reason", "another")
    assert (await replayed(desk, "--last", "1"))["differences"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("outcome = 'ALLOW'", "outcome"),
        ("score_thousandths = 1", "score"),
        ("rules = '[]'", "rules"),
        ("shadow_rules = '[]'", "shadow_rules"),
        ("facts = facts - 'amount_usd'", "facts.amount_usd"),
        ("facts = facts || '{\"hour\": true}'", "outcome"),
        ("ruleset = repeat('0', 64)", "version"),
    ],
)
async def test_whatever_was_changed_is_found(desk: Desk, counter: Counter, change: str, field: str) -> None:
    payment = await counter.pay(description="gift card")
    with counter.till.engine.begin() as connection:
        connection.execute(text(f"UPDATE fraud_decisions SET {change}"))
    told = await replayed(desk, "--last", "1", code=1)
    assert {one["payment"] for one in told["differences"]} == {render_id(Prefix.PAYMENT, payment.id)}
    assert field in {one["difference"]["field"] for one in told["differences"]}
    code, output = await asyncio.to_thread(desk.run, "replay", "--last", "1")
    assert (code, "1 differ" in output, field in output) == (1, True, True)


async def test_what_no_rules_decided_is_counted_and_not_compared(
    desk: Desk, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        break_engine(broken)
        evaluate = counter.bench.rulesets.lineup.live._evaluate
        break_evaluator(counter.bench.rulesets.lineup.live)
        payment = await counter.pay()
        counter.bench.rulesets.lineup.live._evaluate = evaluate
    assert (payment.state, payment.fraud and payment.fraud.backend) == (State.PROCESSING, "nobody")
    told = await replayed(desk, "--last", "1")
    assert (told["replayed"], told["undecided"], told["differences"]) == (0, 1, [])


async def test_a_payment_that_nobody_knows_is_a_finding(desk: Desk) -> None:
    code, output = await asyncio.to_thread(desk.run, "replay", render_id(Prefix.PAYMENT, uuid4()))
    assert (code, "no decision on such a payment" in output) == (1, True)


async def test_a_payment_is_explained_by_the_version_that_decided_it(desk: Desk, counter: Counter) -> None:
    payment = await counter.pay(description="gift card")
    name = render_id(Prefix.PAYMENT, payment.id)
    await asyncio.to_thread(desk.run, "promote", desk.file("5"), "--reason", "another")
    code, output = await asyncio.to_thread(desk.run, "explain", name)
    assert code == 0
    assert f"BLOCK by LIVE {released_version(RULES).hash[:12]} from cards.yaml, engine" in output
    for seen in ('description.startswith("gift")', "description = gift card", "count_payments_by_customer_1h = 0"):
        assert seen in output
    told = await asyncio.to_thread(desk.told, "explain", name)
    assert payment.fraud is not None
    assert told["decision"]["rules"] == list(payment.fraud.rules) == told["explanation"]["fired"]
    assert [rule["id"] for rule in told["explanation"]["rules"]] == ["often", "spent", "gift", "watched", "half"]
    unknown = render_id(Prefix.PAYMENT, uuid4())
    assert (await asyncio.to_thread(desk.run, "explain", unknown))[0] == 1
    assert (await asyncio.to_thread(desk.run, "explain", "pay_nonsense"))[0] == 2
    assert (await asyncio.to_thread(desk.run, "explain", name, "amount=5"))[0] == 2


def test_facts_by_hand_are_still_explained_by_a_file(desk: Desk) -> None:
    code, output = desk.run("explain", desk.file("5"), "amount=6", KASSA_DATABASE_URL="")
    assert (code, "BLOCK" in output, "amount = 6" in output) == (0, True, True)


async def test_decisions_keep_all_that_they_were_made_with(desk: Desk, counter: Counter) -> None:
    shadow = sources(rule("dark", "amount > 5", "score: 0.25"))
    counter.bench.put(Role.SHADOW, shadow)
    counter.bench.put(Role.CANDIDATE, sources(rule("new", "amount > 5", "score: 0.125")), 100)
    payment = await counter.pay()
    [row] = counter.till.query(
        "SELECT backend, role, ruleset, shadows FROM fraud_decisions WHERE merchant_id = :merchant"
    )
    assert payment.fraud is not None
    assert row[:3] == ("engine", "CANDIDATE", payment.fraud.ruleset)
    expected = {
        "outcome": "ALLOW",
        "rules": ["dark"],
        "score_thousandths": 250,
        "shadow_rules": [],
        "backend": "engine",
    }
    assert row[3] == [expected | {"ruleset": released_version(shadow).hash, "facts": {}, "without": []}]
    read = await counter.till.store.read(get_payment, payment.merchant_id, payment.id)
    assert read is not None and read.fraud == payment.fraud
