"""Velocity across merchants: what a plain recount says, of any merchant, also within a batch; nothing unless asked."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text

from fraud_rules.velocity import PLATFORM_BY, PLATFORM_DISTINCT, PLATFORM_FUNCTIONS, Function
from server.clock import utc_now
from server.domain.payment import Payment
from server.domain.velocity import Spent, Traces, Velocity
from server.storage.engine import dumps
from server.storage.open_payments import OpenPayment, open_payments
from server.storage.velocity import servable
from server.storage.velocity_platform import LONGEST, MOST, forget
from server.storage.velocity_platform import _statement as platform_statement
from server.storage.velocity_scans import first_id_at
from tests.factories import make_payment
from tests.storage.conftest import Till

WINDOWS = (60, 420, 3_600, 86_400, 30 * 86_400)
EVERYTHING = [
    Velocity(f"{function}_{over}_by_{by}_{within_s}", function.value, over, by, within_s, platform=True)
    for function in PLATFORM_FUNCTIONS
    for over in (PLATFORM_DISTINCT if function is Function.DISTINCT else ("payments",))
    for by in PLATFORM_BY
    for within_s in WINDOWS
    if over != by
]
BY_CARD = Velocity("count_card", "count", "payments", "card", 3_600, platform=True)
SHOPS = Velocity("shops", "distinct", "merchant", "card", 3_600, platform=True)


class Dice:
    """Throws payments of three merchants whose values often repeat, and are this test's own."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.merchants = [uuid4() for _ in range(3)]
        self._own = uuid4().hex[:30]

    def hashes(self) -> dict[str, str]:
        """A hash for each key that the payment has; no two keys share one, and some values have none."""
        chosen = {by: self.random.choice(("", "1", "2", "3")) for by in PLATFORM_BY}
        return {by: f"{value}{n}{self._own}" for n, (by, value) in enumerate(chosen.items()) if value}

    def moment(self) -> datetime:
        """Most payments are of the last minutes, a few are weeks old."""
        age_s = self.random.choice((5, 60, 600, 3_600, 86_400, 28 * 86_400)) * self.random.uniform(0.1, 1.5)
        return datetime.now(UTC) - timedelta(seconds=age_s)

    def made(self, moment: datetime) -> tuple[Payment, Traces]:
        """A payment that was just opened."""
        payment = make_payment(
            merchant_id=self.random.choice(self.merchants),
            id=UUID(int=int(moment.timestamp() * 1000) << 80 | self.random.getrandbits(72)),
            amount=self.random.choice((100, 250, 999)),
            currency=self.random.choice(("USD", "USD", "EUR")),
            created_at=moment,
        )
        return payment, Traces(platform=self.hashes())


Made = tuple[Payment, Traces]


def recount(velocity: Velocity, now: Made, earlier: Sequence[Made]) -> dict[str, object]:
    """What `velocity` is for a payment, told plainly; empty where it is unknown."""
    payment, traces = now
    mine = traces.platform.get(velocity.by)
    if mine is None:
        return {}
    assert velocity.within_s is not None
    since = payment.created_at - timedelta(seconds=velocity.within_s)
    past = [(p, t) for p, t in earlier if t.platform.get(velocity.by) == mine and p.created_at > since]
    values = {p.merchant_id if velocity.over == "merchant" else t.platform.get(velocity.over) for p, t in past}
    ages = [int((payment.created_at - p.created_at).total_seconds()) for p, _ in past]
    spent: dict[str, Spent] = {}
    for one, _ in past:
        before = spent.get(one.currency, Spent(0, 0))
        spent[one.currency] = Spent(before.payments + 1, before.amount + one.amount)
    found: dict[str, object] = {
        "count": len(past), "sum": spent, "average": spent, "distinct": len(values - {None}), "first_seen": not past,
        "seconds_since_last": min(ages, default=None),
    }  # fmt: skip
    told = found[velocity.function]
    return {} if told is None else {velocity.name: told}


def row(till: Till, made: Made, asked: Sequence[Velocity], seen: list[dict[str, object]] | None = None) -> OpenPayment:
    payment, traces = made
    return till.opening(payment, traces=traces, velocity=tuple(asked), seen=seen)  # type: ignore[arg-type]


def record(connection: Connection, till: Till, dice: Dice, size: int) -> list[Made]:
    """Opens payments while every key is asked for; the oldest first."""
    opened = sorted((dice.made(dice.moment()) for _ in range(size)), key=lambda one: one[0].id)
    every_key = [replace(BY_CARD, name=by, by=by) for by in PLATFORM_BY]
    open_payments(connection, [row(till, one, every_key) for one in opened])
    return opened


@pytest.mark.parametrize("seed", range(6))
def test_what_is_read_is_what_a_recount_says(till: Till, seed: int) -> None:
    dice = Dice(seed)
    with till.engine.connect() as connection:
        stands = record(connection, till, dice, 60)
        asked = dice.random.sample(EVERYTHING, 120)
        for _ in range(3):
            now, seen = dice.made(datetime.now(UTC)), list[dict[str, object]]()
            with connection.begin_nested() as savepoint:
                open_payments(connection, [row(till, now, asked, seen)])
                savepoint.rollback()
            for one in asked:
                assert {k: v for k, v in seen[0].items() if k == one.name} == recount(one, now, stands), one
        connection.rollback()


@pytest.mark.parametrize("seed", range(4))
def test_older_payments_of_the_same_batch_count_too_whoever_the_merchant_is(till: Till, seed: int) -> None:
    dice = Dice(seed)
    with till.engine.connect() as connection:
        stands, begun = record(connection, till, dice, 15), datetime.now(UTC)
        batch = [dice.made(begun + timedelta(milliseconds=40 * n)) for n in range(12)]
        assert len({payment.merchant_id for payment, _ in batch}) > 1
        asked = dice.random.sample(EVERYTHING, 60)
        answers: list[list[dict[str, object]]] = [[] for _ in batch]
        open_payments(connection, [row(till, one, asked, seen) for one, seen in zip(batch, answers, strict=True)])
        connection.rollback()
    for n, now in enumerate(batch):
        for one in asked:
            expected = recount(one, now, [*stands, *batch[:n]])
            assert {k: v for k, v in answers[n][0].items() if k == one.name} == expected, one


KEPT = "SELECT key_hash, merchant_id FROM platform_velocity WHERE payment_id = :payment"


async def test_nothing_is_written_where_no_rule_asks_and_only_the_keys_that_are_asked_for(till: Till) -> None:
    dice = Dice(1)
    hashes = {by: uuid4().hex for by in PLATFORM_BY}
    for asked, keys in (((), 0), ((BY_CARD,), 1), ((BY_CARD, SHOPS), 1), ((BY_CARD, replace(BY_CARD, by="ip")), 2)):
        payment, _ = dice.made(datetime.now(UTC))
        with till.engine.begin() as connection:
            open_payments(connection, [row(till, (payment, Traces(platform=hashes)), asked)])
        written = till.query(KEPT, payment=payment.id)
        assert [merchant for _, merchant in written] == [payment.merchant_id] * keys
        assert {bytes(key).hex() for key, _ in written} <= set(hashes.values())  # type: ignore[call-overload]


def test_two_servers_write_the_same_keys_and_neither_waits(till: Till) -> None:
    hashes = {by: uuid4().hex for by in PLATFORM_BY}
    asked = [replace(BY_CARD, name=by, by=by) for by in PLATFORM_BY]
    with till.engine.connect() as first, till.engine.connect() as second:
        for connection in (first, second):
            connection.execute(text("SET lock_timeout = '100ms'"))
        for _ in range(3):
            for connection in (first, second):
                made = make_payment(), Traces(platform=hashes)
                open_payments(connection, [row(till, made, asked)])
        first.commit()
        second.commit()
    seen: list[dict[str, object]] = []
    with till.engine.begin() as connection:
        open_payments(connection, [row(till, (make_payment(), Traces(platform=hashes)), (BY_CARD, SHOPS), seen)])
    assert seen == [{"count_card": 6, "shops": 6}]


def test_a_key_that_is_busier_than_what_is_looked_at_stands_still(till: Till) -> None:
    card = uuid4().hex
    busy = text("""
        INSERT INTO platform_velocity (key_hash, payment_id, merchant_id, created_at, amount, currency)
        SELECT CAST(:key AS bytea), CAST(:id AS uuid), gen_random_uuid(), now(), 1, 'USD'
    """)
    moment = datetime.now(UTC) - timedelta(minutes=5)
    rows = [{"key": rf"\x{card}", "id": UUID(int=first_id_at(moment).int + n)} for n in range(MOST + 5)]
    seen: list[dict[str, object]] = []
    with till.engine.connect() as connection:
        connection.execute(busy, rows)
        open_payments(connection, [row(till, (make_payment(), Traces(platform={"card": card})), (BY_CARD,), seen)])
        connection.rollback()
    assert seen == [{"count_card": MOST}]


def test_what_no_window_reaches_is_forgotten(till: Till) -> None:
    hashes, old = {"card": uuid4().hex}, utc_now() - LONGEST - timedelta(hours=2)
    kept = []
    for moment in (old, utc_now() - LONGEST + timedelta(minutes=1), utc_now()):
        payment = make_payment(id=UUID(int=first_id_at(moment).int | random.getrandbits(60)), created_at=moment)
        kept.append(payment.id)
        with till.engine.begin() as connection:
            open_payments(connection, [row(till, (payment, Traces(platform=hashes)), (BY_CARD,))])
    with till.engine.begin() as connection:
        assert forget(connection, 5_000) >= 1
        assert forget(connection, 5_000) == 0
    assert [len(till.query(KEPT, payment=one)) for one in kept] == [0, 1, 1]


def test_all_that_the_language_offers_across_merchants_is_served_and_no_more() -> None:
    assert [one.name for one in EVERYTHING if not servable(one)] == []
    for spoilt in (
        {"over": "declines"}, {"by": "customer"}, {"by": "bin"}, {"by": "merchant"}, {"function": "last"},
        {"function": "seconds_since_first"}, {"within_s": None}, {"within_s": 31 * 86_400},
        {"function": "distinct", "over": "customer"},
    ):  # fmt: skip
        assert not servable(replace(BY_CARD, **spoilt)), spoilt  # type: ignore[arg-type]


def test_a_key_is_read_by_the_primary_key_whatever_the_planner_believes(till: Till) -> None:
    """A walk over the index by age would read all merchants' payments of a month for a card that was never seen."""
    question = {"id": uuid4(), "created_at": utc_now(), "card": r"\x01", "oldest_card": UUID(int=0)}
    with till.engine.connect() as connection:
        statement = text(f"EXPLAIN {platform_statement((BY_CARD,)).text}")
        plan = "\n".join(connection.execute(statement, {"rows": dumps([question])}).scalars())
    assert "platform_velocity_pkey" in plan
    assert "platform_velocity_by_age" not in plan
