"""What readings of a dispute do: the books follow the last one, whichever came before it, and each step is told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.consequence import AmountMismatch
from server.domain.dispute import Dispute, DisputeStanding, DisputeState, Evidence
from server.domain.dispute_answer import PendingAnswer, pending_answer, with_answer
from server.domain.dispute_settlement import DisputeSettlement, KnownDispute, settle_dispute
from server.domain.fee import Fee
from server.domain.ledger import JournalKind
from server.domain.payment import Payment, State, Transaction, TransactionState, TransactionType
from tests.factories import make_payment, make_standing

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FEE, SECOND_FEE = Fee(1500, "USD", "txn_fee"), Fee(1000, "USD", "txn_second_fee")
INQUIRY = make_standing(inquiry=True, withdrawn=0)
OPENED = make_standing(fees=(FEE,))
REVIEWED = replace(OPENED, state=DisputeState.UNDER_REVIEW, respond_by=None)
WON = replace(REVIEWED, state=DisputeState.WON)
REINSTATED = replace(WON, withdrawn=0)
LOST = replace(REVIEWED, state=DisputeState.LOST)
HELD = make_standing(withdrawn=0, held=1999)
RELEASED = replace(HELD, state=DisputeState.WON, held=0, respond_by=None)
HELD_AND_LOST = replace(HELD, state=DisputeState.LOST, held=0, withdrawn=1999, respond_by=None)
WITHDRAWN_BY_CUSTOMER = replace(RELEASED, state=DisputeState.CLOSED)
APPEALED = replace(OPENED, respond_by=None, fees=(FEE, SECOND_FEE))
LIVES: tuple[tuple[DisputeStanding, ...], ...] = (
    (INQUIRY, OPENED, REVIEWED, WON, REINSTATED),
    (OPENED, REVIEWED, LOST),
    (OPENED, REVIEWED, WON, REINSTATED, APPEALED, replace(LOST, fees=(FEE, SECOND_FEE))),
    (INQUIRY, replace(INQUIRY, state=DisputeState.CLOSED, respond_by=None)),
    (HELD, RELEASED),
    (HELD, HELD_AND_LOST),
    (HELD, WITHDRAWN_BY_CUSTOMER),
    (OPENED, replace(OPENED, withdrawn=1200), replace(LOST, withdrawn=1200)),
)


def charged() -> Payment:
    return make_payment(state=State.COMPLETED, amount_authorized=1999, amount_captured=1999)


@dataclass
class Shelf:
    """Keeps what settlements say, as storage does: a fee once, and a reading only on top of the version it saw."""

    payment: Payment = field(default_factory=charged)
    dispute: Dispute | None = None
    transactions: dict[UUID, Transaction] = field(default_factory=dict)
    ledger: Counter[str] = field(default_factory=Counter)
    fees: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=list)

    @property
    def version(self) -> int:
        return 0 if self.dispute is None else self.dispute.version

    @property
    def known(self) -> KnownDispute | None:
        if self.dispute is None:
            return None
        return KnownDispute(self.dispute, self.own, tuple(self.chargebacks))

    @property
    def own(self) -> Transaction:
        assert self.dispute is not None
        return self.transactions[self.dispute.transaction_id]

    @property
    def chargebacks(self) -> list[Transaction]:
        return [one for one in self.transactions.values() if one.type is TransactionType.CHARGEBACK]

    def settle(self, standing: DisputeStanding, answered: str | None = None) -> DisputeSettlement:
        done = settle_dispute(self.payment, self.known, standing, NOW, answered)
        self.payment, self.dispute = done.payment, done.dispute
        self.transactions |= {one.id: one for one in (done.transaction, *done.chargebacks)}
        assert done.booked_by.id in self.transactions
        for journal in done.journals:
            assert sum(entry.amount for entry in journal.entries) == 0
            if journal.kind is JournalKind.FEE and journal.reference in self.fees:
                continue
            self.fees |= {journal.reference} if journal.kind is JournalKind.FEE else set()
            self.ledger.update({entry.account.value: entry.amount for entry in journal.entries})
        self.events += done.events
        return done


def expect(shelf: Shelf, truth: DisputeStanding) -> None:
    """The books say what the processor says, to the cent."""
    dispute = shelf.dispute
    assert dispute is not None
    fees = sum(fee.amount for fee in truth.fees)
    assert shelf.ledger["disputes"] == truth.withdrawn
    assert shelf.ledger["reserve"] == truth.held
    assert shelf.ledger["fees"] == fees
    assert shelf.ledger["processor_receivable"] == -(truth.withdrawn + truth.held + fees)
    standing = sum(one.amount for one in shelf.chargebacks if one.state is TransactionState.COMPLETED)
    assert standing == dispute.amount_withdrawn == truth.withdrawn
    assert (dispute.state, dispute.amount_held, dispute.respond_by) == (truth.state, truth.held, truth.respond_by)
    asked = 0 if truth.inquiry else truth.amount
    assert shelf.payment.amount_disputed == (asked if dispute.open else truth.withdrawn + truth.held)
    assert (shelf.own.state is TransactionState.PENDING) is not dispute.over


@st.composite
def seen(draw: st.DrawFn) -> list[DisputeStanding]:
    """Readings of one life in their order: any may be missed but the last, any may be made again."""
    life = draw(st.sampled_from(LIVES))
    times = draw(st.lists(st.integers(0, 3), min_size=len(life), max_size=len(life)))
    readings = [one for one, count in zip(life, times, strict=True) for _ in range(count)]
    return [*readings, life[-1]]


@given(seen())
def test_the_books_follow_the_last_reading_whatever_was_missed_or_repeated(readings: list[DisputeStanding]) -> None:
    shelf = Shelf()
    for standing in readings:
        shelf.settle(standing)
        expect(shelf, standing)


@given(st.sampled_from(LIVES), st.data())
def test_readings_that_race_end_where_the_processor_does(life: Sequence[DisputeStanding], data: st.DataObject) -> None:
    """Readers take their version, ask, and settle at any time later; whoever was overtaken asks again."""
    shelf, at = Shelf(), 0
    under_way: list[tuple[int, DisputeStanding]] = []
    for step in data.draw(st.lists(st.sampled_from(["event", "ask", "settle"]), max_size=25)):
        if step == "event":
            at = min(at + 1, len(life) - 1)
        elif step == "ask":
            under_way.append((shelf.version, life[at]))
        elif under_way:
            version, standing = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            shelf.settle(standing if version == shelf.version else life[at])
    for version, standing in [*under_way, (-1, life[-1])]:
        at = len(life) - 1
        shelf.settle(standing if version == shelf.version else life[at])
    shelf.settle(life[-1])
    expect(shelf, life[-1])


def test_each_step_is_told_once() -> None:
    shelf = Shelf()
    for standing in (INQUIRY, INQUIRY, OPENED, OPENED, REVIEWED, WON, WON, REINSTATED, REINSTATED):
        shelf.settle(standing)
    assert shelf.events == [
        "dispute.created",
        "dispute.updated",
        "dispute.funds_withdrawn",
        "dispute.updated",
        "dispute.won",
        "dispute.funds_reinstated",
    ]


@pytest.mark.parametrize(
    ("last", "events"),
    [
        (LOST, ["dispute.created", "dispute.funds_withdrawn", "dispute.lost"]),
        (REINSTATED, ["dispute.created", "dispute.won"]),
        (WITHDRAWN_BY_CUSTOMER, ["dispute.created", "dispute.closed"]),
    ],
)
def test_a_dispute_that_is_first_seen_at_its_end_is_told_whole(last: DisputeStanding, events: list[str]) -> None:
    shelf = Shelf()
    shelf.settle(last)
    assert shelf.events == events
    expect(shelf, last)


@pytest.mark.parametrize(
    ("last", "state", "chargeback"),
    [
        (LOST, TransactionState.COMPLETED, TransactionState.COMPLETED),
        (REINSTATED, TransactionState.CANCELLED, TransactionState.CANCELLED),
    ],
)
def test_a_verdict_ends_the_transactions(
    last: DisputeStanding, state: TransactionState, chargeback: TransactionState
) -> None:
    shelf = Shelf()
    shelf.settle(OPENED)
    assert (shelf.own.state, shelf.own.waiting) == (TransactionState.PENDING, True)
    shelf.settle(last)
    assert (shelf.own.state, [one.state for one in shelf.chargebacks]) == (state, [chargeback])


def test_one_that_is_won_is_followed_until_its_money_is_back() -> None:
    shelf = Shelf()
    shelf.settle(OPENED)
    shelf.settle(WON)
    assert (shelf.own.state, shelf.payment.amount_disputed) == (TransactionState.PENDING, 1999)
    shelf.settle(REINSTATED)
    assert (shelf.own.state, shelf.payment.amount_disputed) == (TransactionState.CANCELLED, 0)


def test_a_part_that_comes_back_leaves_a_chargeback_of_the_rest() -> None:
    shelf = Shelf()
    shelf.settle(OPENED)
    shelf.settle(replace(OPENED, withdrawn=1200))
    assert [(one.amount, one.state.value) for one in shelf.chargebacks] == [(1999, "CANCELLED"), (1200, "COMPLETED")]
    expect(shelf, replace(OPENED, withdrawn=1200))


def test_two_disputes_of_a_payment_count_together() -> None:
    first, second = Shelf(), Shelf()
    first.settle(replace(OPENED, amount=500, withdrawn=500))
    second.payment = first.payment
    second.settle(replace(OPENED, processor_dispute_id="dp_2", amount=700, withdrawn=700))
    assert second.payment.amount_disputed == 1200
    first.payment = second.payment
    first.settle(replace(REINSTATED, amount=500))
    assert first.payment.amount_disputed == 700


def test_a_dispute_in_another_currency_is_for_people() -> None:
    with pytest.raises(AmountMismatch):
        Shelf().settle(replace(OPENED, currency="EUR"))


def carries_an_answer(shelf: Shelf) -> PendingAnswer:
    answer = PendingAnswer("answer-1", Evidence(explanation="It was delivered."), NOW)
    own = with_answer(shelf.own, "key-1", answer)
    shelf.transactions[own.id] = own
    return answer


def test_an_answer_that_reached_the_processor_ends_its_call() -> None:
    shelf = Shelf()
    shelf.settle(OPENED)
    answer = carries_an_answer(shelf)
    done = shelf.settle(REVIEWED, answer.id)
    assert done.answered == ("key-1",)
    assert shelf.dispute is not None
    assert (shelf.dispute.evidence, shelf.dispute.answered_at) == (answer.evidence, NOW)
    assert (pending_answer(shelf.own), shelf.own.idempotency_keys) == (None, ())
    assert (shelf.own.state, shelf.own.waiting) == (TransactionState.PENDING, True)


@pytest.mark.parametrize("standing", [OPENED, REVIEWED, LOST])
def test_a_reading_leaves_an_answer_under_way_to_whoever_sends_it(standing: DisputeStanding) -> None:
    """A webhook is often quicker than the reply to the very call that caused it."""
    shelf = Shelf()
    shelf.settle(OPENED)
    answer = carries_an_answer(shelf)
    done = shelf.settle(standing, "an answer that was given before")
    assert (done.answered, pending_answer(shelf.own)) == ((), answer)
    assert shelf.own.idempotency_keys == ("key-1",)
    assert shelf.settle(standing, answer.id).answered == ("key-1",)
    assert (shelf.own.state is TransactionState.COMPLETED) is (standing is LOST)


@pytest.mark.parametrize("webhook_first", [True, False])
def test_an_answer_is_told_the_same_whether_its_webhook_or_its_reply_is_quicker(webhook_first: bool) -> None:
    shelf = Shelf()
    shelf.settle(OPENED)
    answer = carries_an_answer(shelf)
    for answered in (None, answer.id) if webhook_first else (answer.id, None):
        shelf.settle(LOST, answered)
    assert shelf.events == ["dispute.created", "dispute.funds_withdrawn", "dispute.lost"]
    assert shelf.dispute is not None and shelf.dispute.answered_at == NOW
    assert shelf.own.state is TransactionState.COMPLETED


def test_an_inquiry_may_be_refunded_and_a_dispute_not() -> None:
    shelf = Shelf()
    shelf.settle(INQUIRY)
    assert shelf.payment.amount_disputed == 0
    shelf.settle(OPENED)
    assert shelf.payment.amount_disputed == 1999
