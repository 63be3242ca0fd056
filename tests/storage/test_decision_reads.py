"""Decisions: found by rule, outcome and time; labelled by whoever is to be believed first; counted by rule."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from server.domain.dispute import DisputeReason
from server.domain.errors import InvalidField, KassaError, Reason
from server.domain.ids import new_id
from server.domain.label import Label, LabelSource, PaymentLabel
from server.domain.payment import FraudDecision, FraudOutcome, Payment, ShadowDecision
from server.storage.decision_reads import DecisionFilter
from server.storage.labels import read_labels
from server.storage.open_payments import Opened
from server.storage.settle_disputes import SettleDispute
from server.storage.short_transactions import ShortTransactions
from server.usecases.decisions import Decisions
from server.usecases.newest_first import NewestFirst
from server.usecases.page_tokens import PageTokens
from tests.factories import approved, make_payment, make_standing
from tests.storage.conftest import ALLOWED, HELD, Till

FRAUD = PaymentLabel(UUID(int=0), Label.FRAUD, LabelSource.ANALYST, "Ada", "The card was stolen.")


@pytest.fixture
def decisions(till: Till) -> Iterator[Decisions]:
    with ThreadPoolExecutor(1) as threads:
        reads, transactions = till.store._reads, ShortTransactions(till.engine, threads)
        yield Decisions(reads, transactions, NewestFirst(reads, PageTokens(b"t" * 32)))


async def decided(till: Till, decision: FraudDecision, amount: int = 1999) -> Payment:
    """A payment that went through, whatever the rules said."""
    opened = await till.open(make_payment(merchant_id=till.merchant, amount=amount), decision=decision)
    assert isinstance(opened, Opened)
    return (await till.settle(opened.transaction, approved(opened.transaction))).payment


async def ids(till: Till, decisions: Decisions, **wanted: object) -> list[UUID]:
    page = await decisions.list(DecisionFilter(till.merchant, **wanted), 100, "")  # type: ignore[arg-type]
    return [one.payment_id for one in page.items]


def id_of(age: timedelta) -> UUID:
    """An id that was made so long ago."""
    fresh = new_id().int
    return UUID(int=fresh - (age // timedelta(milliseconds=1) << 80))


def make_older(till: Till, payment: Payment, age: timedelta) -> None:
    older = "UPDATE fraud_decisions SET created_at = created_at - :age WHERE payment_id = :payment"
    with till.engine.begin() as connection:
        connection.execute(text(older), {"age": age, "payment": payment.id})


async def test_decisions_are_found_by_rule_outcome_and_time(till: Till, decisions: Decisions) -> None:
    allowed, held = await decided(till, ALLOWED), await decided(till, HELD)
    assert await ids(till, decisions) == [held.id, allowed.id]
    assert await ids(till, decisions, rule="many_cards") == [held.id]
    assert await ids(till, decisions, rule="new_rule") == [held.id], "it fired in shadow"
    assert await ids(till, decisions, rule="many") == []
    assert await ids(till, decisions, outcome=FraudOutcome.ALLOW) == [allowed.id]
    now = datetime.now(UTC)
    assert await ids(till, decisions, created_after=now + timedelta(minutes=1)) == []
    assert await ids(till, decisions, created_after=now - timedelta(hours=1)) == [held.id, allowed.id]
    assert await ids(till, decisions, created_before=now - timedelta(hours=1)) == []
    make_older(till, allowed, timedelta(hours=2))
    assert await ids(till, decisions, created_before=now - timedelta(hours=1)) == [allowed.id]
    assert await ids(till, decisions, created_after=now - timedelta(hours=1)) == [held.id]


async def test_rules_that_were_snoozed_are_found_and_counted_apart(till: Till, decisions: Decisions) -> None:
    silent = await decided(till, replace(ALLOWED, snoozed=("many_cards",)))
    await decided(till, HELD)
    assert silent.id in await ids(till, decisions, rule="many_cards")
    found = await decisions.statistics(till.merchant, None, None)
    shown = {(one.rule, one.shadow, one.snoozed): dict(one.outcomes) for one in found.rules}
    assert shown[("many_cards", False, True)] == {"ALLOW": 1}
    assert shown[("many_cards", False, False)] == {"REVIEW": 1}


async def test_a_rule_is_looked_for_in_the_last_90_days_unless_told(till: Till, decisions: Decisions) -> None:
    held = await decided(till, HELD)
    make_older(till, held, timedelta(days=91))
    assert await ids(till, decisions, rule="many_cards") == []
    asked = datetime.now(UTC) - timedelta(days=100)
    assert await ids(till, decisions, rule="many_cards", created_after=asked) == [held.id]


async def test_pages_of_decisions_are_stable_and_bound_to_their_filter(till: Till, decisions: Decisions) -> None:
    first, second = await decided(till, HELD), await decided(till, HELD)
    wanted = DecisionFilter(till.merchant, rule="many_cards")
    page = await decisions.list(wanted, 1, "")
    assert [one.payment_id for one in page.items] == [second.id]
    await decided(till, HELD)
    rest = await decisions.list(wanted, 1, page.next_page_token)
    assert ([one.payment_id for one in rest.items], rest.next_page_token) == ([first.id], "")
    with pytest.raises(KassaError) as refusal:
        await decisions.list(replace(wanted, rule="new_rule"), 1, page.next_page_token)
    assert refusal.value.reason is Reason.PAGE_TOKEN_INVALID


async def test_somebody_elses_decision_is_not_found(till: Till, decisions: Decisions) -> None:
    payment = await decided(till, HELD)
    for call in (
        decisions.get(uuid4(), payment.id),
        decisions.label(uuid4(), replace(FRAUD, payment_id=payment.id)),
        decisions.label(None, replace(FRAUD, payment_id=uuid4())),
    ):
        with pytest.raises(KassaError) as refusal:
            await call
        assert refusal.value.reason is Reason.PAYMENT_NOT_FOUND
    assert (await decisions.get(None, payment.id)).decision == HELD
    assert (await decisions.get(till.merchant, payment.id)).label is None


async def test_the_last_word_of_an_analyst_counts(till: Till, decisions: Decisions) -> None:
    payment = await decided(till, HELD)
    await decisions.label(till.merchant, replace(FRAUD, payment_id=payment.id))
    said = await decisions.label(None, PaymentLabel(payment.id, Label.LEGIT, LabelSource.ANALYST, "Grace", "She paid."))
    assert said.created_at is not None
    assert (await decisions.get(till.merchant, payment.id)).label == said


async def dispute(till: Till, payment: Payment, reason: DisputeReason) -> None:
    standing = make_standing(processor_dispute_id=f"dp_{payment.id.hex}", reason=reason)
    await till.store.settle_dispute(SettleDispute(till.merchant, payment.id, 0, standing))


async def test_a_dispute_for_fraud_labels_a_payment_until_an_analyst_does(till: Till, decisions: Decisions) -> None:
    stolen, late = await decided(till, HELD), await decided(till, HELD)
    await dispute(till, stolen, DisputeReason.FRAUDULENT)
    await dispute(till, late, DisputeReason.PRODUCT_NOT_RECEIVED)
    found = await till.store.read(read_labels, [(till.merchant, stolen.id), (till.merchant, late.id)])
    told = PaymentLabel(stolen.id, Label.FRAUD, LabelSource.DISPUTE)
    assert found == {(till.merchant, stolen.id): told}
    assert (await decisions.get(till.merchant, stolen.id)).label == told
    legit = await decisions.label(till.merchant, replace(FRAUD, payment_id=stolen.id, label=Label.LEGIT))
    assert await till.store.read(read_labels, [(till.merchant, stolen.id)]) == {(till.merchant, stolen.id): legit}


async def test_a_networks_warning_labels_a_payment_before_a_dispute_does(till: Till, decisions: Decisions) -> None:
    warned = await decided(till, HELD)
    await dispute(till, warned, DisputeReason.FRAUDULENT)
    with till.engine.begin() as connection:
        connection.execute(text("UPDATE payments SET early_fraud_warning = true WHERE id = :id"), {"id": warned.id})
    told = PaymentLabel(warned.id, Label.FRAUD, LabelSource.EARLY_FRAUD_WARNING)
    assert (await decisions.get(till.merchant, warned.id)).label == told


async def test_rules_are_counted_live_and_in_shadow_with_what_came_of_it(till: Till, decisions: Decisions) -> None:
    await decided(till, ALLOWED)
    fraud, legit = await decided(till, HELD, 1000), await decided(till, HELD, 500)
    await decided(till, FraudDecision(FraudOutcome.ALLOW, 100, ("many_cards",), (), "hash", {}), 30)
    await decisions.label(till.merchant, replace(FRAUD, payment_id=fraud.id))
    await decisions.label(till.merchant, replace(FRAUD, payment_id=legit.id, label=Label.LEGIT))
    found = await decisions.statistics(till.merchant, None, None)
    assert (found.decisions, found.fraud, found.legit) == (4, 1, 1)
    shown = [(one.rule, one.shadow, one.fired, dict(one.outcomes), dict(one.captured)) for one in found.rules]
    assert shown == [
        ("many_cards", False, 3, {"REVIEW": 2, "ALLOW": 1}, {"USD": 1530}),
        ("new_rule", True, 2, {"REVIEW": 2}, {"USD": 1500}),
    ]
    assert [(one.fraud, one.legit) for one in found.rules] == [(1, 1), (1, 1)]
    everybody = await decisions.statistics(None, None, None)
    assert everybody.decisions >= 4


async def test_whole_shadow_rulesets_are_counted_apart_by_their_own_outcomes(till: Till, decisions: Decisions) -> None:
    strict, mild = (ShadowDecision(name, FraudOutcome.BLOCK, 900, ("dark",)) for name in ("strict", "mild"))
    stolen = await decided(till, replace(ALLOWED, rules=("dark",), shadows=(strict,)), 1000)
    good = await decided(till, replace(ALLOWED, shadows=(strict,)), 500)
    await decided(till, replace(HELD, shadows=(replace(strict, outcome=FraudOutcome.REVIEW, rules=()),)))
    await decided(till, replace(ALLOWED, shadows=(replace(mild, outcome=FraudOutcome.ALLOW),)), 30)
    await decisions.label(till.merchant, replace(FRAUD, payment_id=stolen.id))
    await decisions.label(till.merchant, replace(FRAUD, payment_id=good.id, label=Label.LEGIT))
    found = await decisions.statistics(till.merchant, None, None)
    assert [(one.rule, one.shadow, one.fired) for one in found.rules if one.rule == "dark"] == [("dark", False, 1)]
    first, second = found.shadows
    assert (first.ruleset, first.decisions, dict(first.outcomes)) == ("strict", 3, {"BLOCK": 2, "REVIEW": 1})
    assert (first.differing, first.fraud, first.legit, first.blocked_fraud, first.blocked_legit) == (2, 1, 1, 1, 1)
    (rule,) = first.rules
    assert (rule.rule, rule.shadow, dict(rule.outcomes), dict(rule.captured)) == (
        "dark", True, {"BLOCK": 2}, {"USD": 1500},
    )  # fmt: skip
    assert (second.ruleset, dict(second.outcomes), second.differing) == ("mild", {"ALLOW": 1}, 0)
    assert [(one.rule, dict(one.outcomes), one.fraud) for one in second.rules] == [("dark", {"ALLOW": 1}, 0)]


async def test_only_what_was_decided_in_the_time_is_counted(till: Till, decisions: Decisions) -> None:
    week = timedelta(days=8)
    opened = await till.open(make_payment(id=id_of(week), merchant_id=till.merchant), decision=HELD)
    assert isinstance(opened, Opened)
    make_older(till, opened.payment, week)
    await decided(till, HELD)
    now = datetime.now(UTC) + timedelta(minutes=1)
    assert (await decisions.statistics(till.merchant, None, None)).decisions == 1
    assert (await decisions.statistics(till.merchant, now - timedelta(days=90), now)).decisions == 2
    assert (await decisions.statistics(till.merchant, None, now - timedelta(days=2))).decisions == 1


@pytest.mark.parametrize("length", [timedelta(days=90, seconds=1), timedelta(), timedelta(days=-1)])
async def test_a_time_that_is_too_long_or_none_is_refused(till: Till, decisions: Decisions, length: timedelta) -> None:
    now = datetime.now(UTC)
    with pytest.raises(InvalidField) as refusal:
        await decisions.statistics(till.merchant, now - length, now)
    assert refusal.value.field == "created_after"
