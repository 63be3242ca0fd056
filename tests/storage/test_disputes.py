"""Disputes on Postgres: a reading counts only on top of what it saw, and an answer is durable before it is sent."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from server.domain.dispute import Dispute, DisputeStanding, DisputeState, Evidence
from server.domain.dispute_answer import pending_answer
from server.domain.errors import KassaError, Reason
from server.domain.fee import Fee
from server.domain.payment import Payment, Transaction, TransactionType
from server.storage.claims import Claim, Replay
from server.storage.dispute_answers import AnswerOpened, LetGo, OpenAnswer, read_dispute_answer
from server.storage.disputes import DisputeFilter, find_dispute, get_dispute, list_disputes
from server.storage.open_operations import OperationOpened, TakeUp
from server.storage.reads import get_claim, get_payment, get_transaction
from server.storage.recovery import due_transactions, open_transactions
from server.storage.settle_disputes import DisputeSettled, Overtaken, SettleDispute
from tests.factories import STRIPE_ACCOUNT, make_standing
from tests.storage.conftest import LEASE_S, Till

BALANCES = """
    SELECT account, sum(amount)::bigint FROM ledger_entries WHERE merchant_id = :merchant GROUP BY account
"""
EVENTS = "SELECT type FROM events WHERE merchant_id = :merchant AND type LIKE 'dispute.%' ORDER BY id"
FEE = Fee(1500, "USD", "txn_fee")
EVIDENCE = Evidence(explanation="It was delivered.")


def standing(**changes: object) -> DisputeStanding:
    """A dispute of its own at the processor."""
    return make_standing(processor_dispute_id=f"dp_{uuid4().hex}", fees=(FEE,), **changes)


async def settled(
    till: Till, payment: Payment, told: DisputeStanding, version: int, answered: str | None = None
) -> Dispute:
    row = SettleDispute(payment.merchant_id, payment.id, version, told, answered)
    done = await till.store.settle_dispute(row)
    assert isinstance(done, DisputeSettled)
    return done.dispute


async def disputed(till: Till, **changes: object) -> tuple[Payment, Dispute, DisputeStanding]:
    payment, told = await till.charged(), standing(**changes)
    return payment, await settled(till, payment, told, 0), told


async def transaction_of(till: Till, dispute: Dispute) -> Transaction:
    found = await till.store.read(get_transaction, dispute.merchant_id, dispute.transaction_id)
    assert found is not None
    return found


async def amount_disputed(till: Till, payment: Payment) -> int:
    found = await till.store.read(get_payment, payment.merchant_id, payment.id)
    assert found is not None
    return found.amount_disputed


def answering(
    dispute: Dispute, key: str = "", evidence: Evidence | None = EVIDENCE, lease_s: float = LEASE_S
) -> OpenAnswer:
    claim = Claim(
        dispute.merchant_id, key or str(uuid4()), uuid4(), b"answer", dispute.payment_id, dispute.transaction_id
    )
    return OpenAnswer(claim, dispute.id, evidence, uuid4(), lease_s)


async def answer(till: Till, row: OpenAnswer) -> Transaction:
    opened = await till.store.open_answer(row)
    assert isinstance(opened, AnswerOpened)
    return opened.transaction


async def test_a_withdrawal_and_its_return_are_booked(till: Till) -> None:
    payment, _, told = await disputed(till)
    assert await amount_disputed(till, payment) == 1999
    assert dict(till.query(BALANCES)) == {
        "disputes": 1999, "fees": 1500, "merchant_payable": -1999, "processor_receivable": -1500
    }  # fmt: skip
    won = await settled(till, payment, replace(told, state=DisputeState.WON, withdrawn=0, respond_by=None), 1)
    assert won.over and await amount_disputed(till, payment) == 0
    assert dict(till.query(BALANCES))["disputes"] == 0
    assert dict(till.query(BALANCES))["fees"] == 1500
    rows = till.query("SELECT type, state FROM transactions WHERE merchant_id = :merchant ORDER BY id")
    assert sorted(rows) == [("AUTHORIZATION", "COMPLETED"), ("CHARGEBACK", "CANCELLED"), ("DISPUTE", "CANCELLED")]
    named = till.query("""
        SELECT DISTINCT l.kind, t.type FROM ledger_entries l JOIN transactions t
        ON t.merchant_id = l.merchant_id AND t.id = l.transaction_id WHERE l.merchant_id = :merchant
    """)
    assert {("DISPUTE_WITHDRAWN", "CHARGEBACK"), ("DISPUTE_REINSTATED", "CHARGEBACK")} <= set(named)


async def test_of_two_first_readings_at_once_one_is_settled(till: Till) -> None:
    payment, told = await till.charged(), standing()
    row = SettleDispute(payment.merchant_id, payment.id, 0, told)
    results = await asyncio.gather(*(till.store.settle_dispute(row) for _ in range(8)))
    assert sum(isinstance(one, DisputeSettled) for one in results) == 1
    assert {one.version for one in results if isinstance(one, Overtaken)} == {1}
    assert await amount_disputed(till, payment) == 1999
    assert len(till.query("SELECT 1 FROM disputes WHERE merchant_id = :merchant")) == 1
    assert till.query(EVENTS) == [("dispute.created",), ("dispute.funds_withdrawn",)]


async def test_an_older_reading_never_follows_a_newer_one(till: Till) -> None:
    """It saw the money gone, was held up, and settles after somebody has booked its return."""
    payment, _, told = await disputed(till)
    won = replace(told, state=DisputeState.WON, withdrawn=0, respond_by=None)
    await settled(till, payment, won, 1)
    late = await till.store.settle_dispute(SettleDispute(payment.merchant_id, payment.id, 1, told))
    assert late == Overtaken(2)
    assert (await amount_disputed(till, payment), dict(till.query(BALANCES))["disputes"]) == (0, 0)


async def test_a_reading_that_changes_nothing_counts_as_one_too(till: Till) -> None:
    payment, dispute, told = await disputed(till)
    again = await settled(till, payment, told, 1)
    assert (again.version, again.updated_at) == (2, dispute.updated_at)
    assert till.query(EVENTS) == [("dispute.created",), ("dispute.funds_withdrawn",)]


async def test_a_dispute_is_found_by_its_processors_id(till: Till) -> None:
    payment, dispute, told = await disputed(till)
    key = (payment.merchant_id, STRIPE_ACCOUNT, told.processor_dispute_id)
    assert await till.store.read(find_dispute, *key) == dispute
    assert await till.store.read(find_dispute, uuid4(), *key[1:]) is None
    owner = till.query("SELECT payment_id, transaction_id FROM processor_objects WHERE object_id = :id", id=key[2])
    assert owner == [(payment.id, dispute.transaction_id)]


async def test_disputes_are_listed_newest_first(till: Till) -> None:
    made = [
        (await disputed(till, **changes))[1] for changes in ({}, {"state": DisputeState.LOST, "respond_by": None}, {})
    ]
    listed = [till.merchant, DisputeFilter(), None, 10]
    assert await till.store.read(list_disputes, *listed) == made[::-1]
    for wanted, expected in (
        (DisputeFilter(state=DisputeState.LOST), [made[1]]),
        (DisputeFilter(payment_id=made[2].payment_id), [made[2]]),
        (DisputeFilter(respond_before=made[2].respond_by), [made[0]]),
    ):
        assert await till.store.read(list_disputes, till.merchant, wanted, None, 10) == expected
    assert await till.store.read(list_disputes, till.merchant, DisputeFilter(), made[1].id, 10) == [made[0]]
    assert await till.store.read(get_dispute, uuid4(), made[0].id) is None


async def test_an_open_dispute_is_due_again_and_stands_in_nobodys_way(till: Till) -> None:
    payment, dispute, _ = await disputed(till)
    assert await till.store.read(open_transactions, payment.merchant_id, payment.id) == []
    with till.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE transactions SET lease_until = now() - interval '9 years' WHERE id = %s", (dispute.transaction_id,)
        )
    due = await till.store.read(due_transactions, STRIPE_ACCOUNT, 1000)
    assert dispute.transaction_id in {one.transaction_id for one in due}


async def test_a_refund_is_refused_while_money_is_disputed_or_lost(till: Till) -> None:
    payment, _, told = await disputed(till, amount=500, withdrawn=500)
    for version, state in enumerate((DisputeState.UNDER_REVIEW, DisputeState.LOST), start=1):
        with pytest.raises(KassaError) as refused:
            await till.begin(payment, TransactionType.REFUND, 100)
        assert refused.value.reason is Reason.PAYMENT_DISPUTED
        await settled(till, payment, replace(told, state=state, respond_by=None), version)
    with pytest.raises(KassaError):
        await till.begin(payment, TransactionType.REFUND, 100)
    await settled(till, payment, replace(told, state=DisputeState.WON, withdrawn=0, respond_by=None), 3)
    await till.begin(payment, TransactionType.REFUND, 100)


async def test_an_answer_is_durable_and_ends_its_call_when_it_is_settled(till: Till) -> None:
    payment, dispute, told = await disputed(till)
    row = answering(dispute)
    sent = pending_answer(await answer(till, row))
    assert sent is not None and pending_answer(await transaction_of(till, dispute)) == sent
    claim = await till.store.read(get_claim, till.merchant, row.claim.key)
    assert claim is not None and claim.answer is None
    reviewed = replace(told, state=DisputeState.UNDER_REVIEW, respond_by=None)
    done = await settled(till, payment, reviewed, 1, sent.id)
    assert (done.evidence, done.answered_at is None) == (EVIDENCE, False)
    repeated = await till.store.open_answer(row)
    assert isinstance(repeated, Replay) and repeated.answer is not None
    assert read_dispute_answer(repeated.answer) == done
    after = await transaction_of(till, dispute)
    assert (pending_answer(after), after.waiting, after.idempotency_keys) == (None, True, ())


async def test_of_two_answers_at_once_one_is_given(till: Till) -> None:
    _, dispute, _ = await disputed(till)
    rows = [answering(dispute), answering(dispute, evidence=None)]
    results = await asyncio.gather(*(till.store.open_answer(row) for row in rows), return_exceptions=True)
    assert sum(isinstance(one, AnswerOpened) for one in results) == 1
    refused = next(one for one in results if isinstance(one, KassaError))
    assert refused.reason is Reason.OPERATION_IN_PROGRESS


async def test_a_refused_answer_is_the_keys_answer(till: Till) -> None:
    payment, dispute, told = await disputed(till)
    await settled(till, payment, replace(told, state=DisputeState.LOST, respond_by=None), 1)
    row = answering(dispute)
    with pytest.raises(KassaError) as refused:
        await till.store.open_answer(row)
    assert refused.value.reason is Reason.DISPUTE_STATE_INVALID
    repeated = await till.store.open_answer(row)
    assert isinstance(repeated, Replay) and repeated.answer is not None
    with pytest.raises(KassaError, match="LOST"):
        read_dispute_answer(repeated.answer)


async def leased(till: Till, dispute: Dispute) -> tuple[Transaction, UUID]:
    row = TakeUp(dispute.merchant_id, dispute.payment_id, dispute.transaction_id, uuid4(), LEASE_S)
    taken = await till.store.take_up(row)
    assert isinstance(taken, OperationOpened)
    return taken.transaction, row.owner


async def test_recovery_takes_a_lost_answer_over(till: Till) -> None:
    _, dispute, _ = await disputed(till)
    row = answering(dispute, lease_s=0)
    sent = await answer(till, row)
    taken, owner = await leased(till, dispute)
    assert (pending_answer(taken), taken.attempts) == (pending_answer(sent), 1)
    lease = (dispute.merchant_id, dispute.payment_id, dispute.transaction_id)
    assert not await till.store.let_go(LetGo(*lease, row.owner))  # the first process wakes up: it is not its turn
    assert await till.store.let_go(LetGo(*lease, owner))
    after = await transaction_of(till, dispute)
    assert (after.state.value, pending_answer(after)) == ("UNKNOWN", pending_answer(sent))


async def test_an_answer_that_the_processor_refuses_is_taken_out_and_another_may_follow(till: Till) -> None:
    _, dispute, _ = await disputed(till)
    row = answering(dispute)
    await answer(till, row)
    refusal = KassaError(Reason.PROCESSOR_REFUSED, "The processor refused it.")
    lease = (dispute.merchant_id, dispute.payment_id, dispute.transaction_id)
    assert await till.store.let_go(LetGo(*lease, row.owner, refusal))
    claim = await till.store.read(get_claim, till.merchant, row.claim.key)
    assert claim is not None and claim.answer is not None
    with pytest.raises(KassaError, match="refused it"):
        read_dispute_answer(claim.answer)
    await answer(till, answering(dispute))


async def test_a_webhooks_reading_leaves_an_answer_and_its_lease_alone(till: Till) -> None:
    payment, dispute, told = await disputed(till)
    row = answering(dispute)
    sent = await answer(till, row)
    reviewed = replace(told, state=DisputeState.UNDER_REVIEW, respond_by=None)
    await settled(till, payment, reviewed, 1)
    with pytest.raises(KassaError) as busy:
        await leased(till, dispute)
    assert busy.value.reason is Reason.OPERATION_IN_PROGRESS
    carried = pending_answer(sent)
    assert carried is not None
    assert (await settled(till, payment, reviewed, 2, carried.id)).evidence == EVIDENCE


async def test_a_dispute_in_another_currency_is_told_to_people_and_not_booked(till: Till) -> None:
    payment = await till.charged()
    with pytest.raises(KassaError) as refused:
        await settled(till, payment, standing(currency="EUR"), 0)
    assert refused.value.reason is Reason.INTERNAL
    assert till.query("SELECT kind FROM attention_items WHERE merchant_id = :merchant") == [("AMOUNT_MISMATCH",)]
    assert till.query("SELECT 1 FROM disputes WHERE merchant_id = :merchant") == []


async def test_a_dispute_that_is_read_in_vain_is_asked_for_again_after_a_pause(till: Till) -> None:
    _, dispute, _ = await disputed(till)
    _, owner = await leased(till, dispute)
    assert await till.store.let_go(LetGo(dispute.merchant_id, dispute.payment_id, dispute.transaction_id, owner))
    after = await transaction_of(till, dispute)
    assert (after.state.value, after.waiting, after.attempts) == ("PENDING", True, 1)
    rows = till.query("SELECT owner, lease_until > now() FROM transactions WHERE id = :id", id=dispute.transaction_id)
    assert rows == [(None, True)]
