"""Everything that a rule can ask of the past, over random payments, is what a plain recount says."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text

from fraud_rules.velocity import BY, OVER, Function
from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.payment import Address, Customer, State
from server.domain.velocity import Traces, Velocity
from server.storage.engine import dumps
from server.storage.open_payments import open_payments
from server.storage.rows import PAYMENT_CHANGES, columns, payment_row
from server.storage.velocity import servable
from server.storage.velocity_counters import fold, is_counter
from tests.factories import make_payment
from tests.storage.conftest import Till
from tests.storage.velocity_recount import Past, recount

WINDOWS = (60, 420, 3_600, 86_400, 7 * 86_400, 90 * 86_400, None)
EVERYTHING = [
    Velocity(f"{function}_{over}_by_{by}_{within_s}", function.value, over, by, within_s)
    for function in Function
    for over in OVER[function]
    for by in BY
    for within_s in WINDOWS
    if not (function is Function.DISTINCT and over == by)
]
CODES = (
    DeclineCode.CARD_DECLINED,
    DeclineCode.FRAUD_BLOCKED,
    DeclineCode.PROCESSOR_UNAVAILABLE,
    DeclineCode.REVIEW_NOT_POSSIBLE,
)
MOVE = text(f"""
    UPDATE payments p SET ({columns(PAYMENT_CHANGES)}) = ROW ({columns(PAYMENT_CHANGES, "q")})
    FROM jsonb_populate_recordset(NULL::payments, CAST(:rows AS jsonb)) AS q
    WHERE p.merchant_id = q.merchant_id AND p.id = q.id
""")


class Dice:
    """Throws payments whose values often repeat."""

    def __init__(self, seed: int, merchant: UUID) -> None:
        self.random, self.merchant = random.Random(seed), merchant

    def moment(self) -> datetime:
        """Most payments are of the last minutes, a few are months old."""
        age_s = self.random.choice((5, 60, 600, 3_600, 86_400, 8 * 86_400, 95 * 86_400)) * self.random.uniform(0.1, 1.5)
        return datetime.now(UTC) - timedelta(seconds=age_s)

    def payment(self, moment: datetime) -> Past:
        """A payment that was just opened."""
        one = self.random.choice
        email = one(("", "ada@a.example", "Ada@A.example", "bob@b.example"))
        payment = make_payment(
            merchant_id=self.merchant,
            id=UUID(int=int(moment.timestamp() * 1000) << 80 | self.random.getrandbits(72)),
            amount=one((100, 250, 999)),
            currency=one(("USD", "USD", "EUR")),
            customer=Customer(one(("", "c1", "c2")), email, one(("", "203.0.113.1", "203.0.113.2")), one(("", "d1"))),
            billing_address=Address(country=one(("", "US", "DE"))),
            shipping_address=Address(country=one(("", "US", "FR"))),
            created_at=moment,
        )
        traces = Traces(
            card_fingerprint=one(("", "f1", "f2", "f3")),
            card_bin=one(("", "42424242", "55555555")),
            email_key=email.lower(),
            email_domain=email.rpartition("@")[2].lower(),
            holder_hash=one(("", "h1", "h2")),
            shipping_key=one(("", "s1", "s2")),
        )
        return Past(payment, traces)

    def settled(self, past: Past) -> Past:
        """How it stands some time later."""
        one, payment = self.random.choice, past.payment
        if self.random.random() < 0.2:
            return past
        checks = {"cvc_check": one(("pass", "fail"))} if self.random.random() < 0.5 else {}
        if self.random.random() < 0.4:
            failure = Failure(one(CODES), "No.", Advice.DO_NOT_RETRY, one((None, "Generic_Decline", "lost_card")))
            return replace(past, payment=replace(payment, state=State.FAILED, failure=failure, processor_checks=checks))
        paid = replace(
            payment,
            state=State.COMPLETED,
            amount_authorized=payment.amount,
            amount_captured=payment.amount,
            amount_refunded=one((0, 0, 40)),
            amount_disputed=one((0, 0, payment.amount)),
            early_fraud_warning=one((False, True)),
            processor_checks=checks,
        )
        return replace(past, payment=paid)


def record(connection: Connection, till: Till, dice: Dice, size: int) -> list[Past]:
    """Opens payments and settles them; the oldest first."""
    opened = sorted((dice.payment(dice.moment()) for _ in range(size)), key=lambda past: past.payment.id)
    open_payments(connection, [till.opening(past.payment, traces=past.traces) for past in opened])
    stands = [dice.settled(past) for past in opened]
    connection.execute(MOVE, {"rows": dumps([payment_row(past.payment) for past in stands])})
    return stands


def ask(till: Till, connection: Connection, past: Past, asked: Sequence[Velocity]) -> dict[str, object]:
    """What the payment is told, and nothing of it is kept."""
    seen: list[dict[str, object]] = []
    row = till.opening(past.payment, traces=past.traces, velocity=tuple(asked), seen=seen)  # type: ignore[arg-type]
    with connection.begin_nested() as savepoint:
        open_payments(connection, [row])
        savepoint.rollback()
    return seen[0]


def test_everything_that_the_language_offers_is_served() -> None:
    assert [one.name for one in EVERYTHING if not servable(one)] == []
    assert not servable(Velocity("x", "count", "payments", "colour", None))
    assert not servable(Velocity("x", "distinct", "payments", "card", None))


@pytest.mark.parametrize("seed", range(6))
def test_what_is_read_is_what_a_recount_says(till: Till, seed: int) -> None:
    dice = Dice(seed, uuid4())
    with till.engine.connect() as connection:
        stands = record(connection, till, dice, 60)
        now = [dice.payment(datetime.now(UTC)) for _ in range(3)]
        asked = dice.random.sample(EVERYTHING, 150)
        for past in now:
            told = ask(till, connection, past, asked)
            for one in asked:
                expected = recount(one, past, stands, buckets=is_counter(one))
                assert {k: v for k, v in told.items() if k == one.name} == expected, one
        connection.rollback()


@pytest.mark.parametrize("seed", range(4))
def test_older_payments_of_the_same_batch_count_too(till: Till, seed: int) -> None:
    dice = Dice(seed, uuid4())
    with till.engine.connect() as connection:
        stands, begun = record(connection, till, dice, 15), datetime.now(UTC)
        batch = [dice.payment(begun + timedelta(milliseconds=40 * n)) for n in range(12)]
        asked = dice.random.sample([one for one in EVERYTHING if one.over == "payments"], 40)
        answers: dict[UUID, dict[str, object]] = {}
        rows = []
        for past in batch:
            seen: list[dict[str, object]] = []
            rows.append(till.opening(past.payment, traces=past.traces, velocity=tuple(asked), seen=seen))  # type: ignore[arg-type]
            answers[past.payment.id] = seen  # type: ignore[assignment]
        open_payments(connection, rows)
        connection.rollback()
    for n, past in enumerate(batch):
        told = answers[past.payment.id][0]  # type: ignore[index]
        for one in asked:
            if is_counter(one) and one.function.startswith("seconds"):
                continue  # within a batch they are told to the second, else to the bucket
            expected = recount(one, past, [*stands, *batch[:n]], buckets=is_counter(one))
            if is_counter(one) and one.within_s == 60:
                continue  # the batch's own are held against the window itself
            assert {k: v for k, v in told.items() if k == one.name} == expected, one


def test_folding_changes_no_number_but_at_a_windows_far_end(till: Till) -> None:
    dice = Dice(7, uuid4())
    ever = [one for one in EVERYTHING if is_counter(one) and one.within_s is None and "seconds" not in one.function]
    with till.engine.connect() as connection:
        record(connection, till, dice, 80)
        past = dice.payment(datetime.now(UTC))
        before = ask(till, connection, past, ever)
        sizes = [connection.scalar(text("SELECT count(*) FROM velocity_counters"))]
        assert fold(connection, 100_000) > 0
        assert fold(connection, 100_000) == 0
        sizes.append(connection.scalar(text("SELECT count(*) FROM velocity_counters")))
        assert ask(till, connection, past, ever) == before
        assert sizes[1] < sizes[0]
        connection.rollback()
