"""Velocity: counted in the opening transaction, within the merchant, window and batch."""

from datetime import UTC, datetime, timedelta

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.ids import new_id
from server.domain.outcome import Declined
from server.domain.payment import Customer, State
from server.domain.velocity import Counted, Spent, Traces, Velocity
from server.storage.open_payments import Opened, open_payments
from tests.factories import approved, make_payment
from tests.storage.conftest import Till

HOUR = Velocity("count_payments_by_customer_1h", "count", "payments", "customer", 3600)
EVER = Velocity("count_payments_by_customer_ever", "count", "payments", "customer", None)
CARDS = Velocity("distinct_card_by_ip_24h", "distinct", "card", "ip", 86_400)
SPENT = Velocity("sum_payments_by_customer_1h", "sum", "payments", "customer", 3600)


async def counted(till: Till, *velocity: Velocity, **changes: object) -> Counted:
    seen: list[Counted] = []
    await till.open(make_payment(merchant_id=till.merchant, **changes), velocity=velocity, seen=seen)
    return seen[0]


async def test_earlier_payments_are_counted_and_never_the_one_at_hand(till: Till) -> None:
    assert (await counted(till, HOUR))[HOUR.name] == 0
    assert (await counted(till, HOUR))[HOUR.name] == 1


async def test_earlier_payments_of_the_same_batch_count(till: Till) -> None:
    seen: list[Counted] = []
    rows = [till.opening(velocity=(HOUR,), seen=seen) for _ in range(12)]
    with till.engine.begin() as connection:  # through the store, two writers might share them
        open_payments(connection, rows)
    assert sorted(one[HOUR.name] for one in seen) == list(range(12))


async def test_a_window_ends_and_ever_does_not(till: Till) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    await till.open(make_payment(merchant_id=till.merchant, created_at=long_ago, id=new_id()))
    numbers = await counted(till, HOUR, EVER)
    assert (numbers[HOUR.name], numbers[EVER.name]) == (0, 1)


async def test_other_customers_and_other_merchants_do_not_count(till: Till) -> None:
    await till.open(make_payment(merchant_id=till.merchant, customer=Customer(id="cus_2")))
    await Till(till.store, till.commit, till.engine).open()
    assert (await counted(till, HOUR))[HOUR.name] == 0


async def test_a_payment_without_the_dimension_leaves_the_number_unknown(till: Till) -> None:
    assert HOUR.name not in await counted(till, HOUR, customer=Customer())


async def test_distinct_cards_by_address(till: Till) -> None:
    for fingerprint in ("a", "b", "a", ""):
        await till.open(make_payment(merchant_id=till.merchant), traces=Traces(card_fingerprint=fingerprint))
    assert (await counted(till, CARDS))[CARDS.name] == 2


async def test_sums_keep_their_currencies_apart(till: Till) -> None:
    for currency, amount in (("USD", 100), ("EUR", 200), ("USD", 50)):
        await till.open(make_payment(merchant_id=till.merchant, currency=currency, amount=amount))
    assert (await counted(till, SPENT, HOUR))[SPENT.name] == {"USD": Spent(2, 150), "EUR": Spent(1, 200)}
    assert (await counted(till, SPENT, customer=Customer(id="new")))[SPENT.name] == {}


async def test_declines_are_told_from_payments(till: Till) -> None:
    declines = Velocity("count_declines_by_customer_1h", "count", "declines", "customer", 3600)
    failure = {"failure": None, "state": State.PROCESSING}
    await till.open(make_payment(merchant_id=till.merchant, **failure))
    numbers = await counted(till, declines, HOUR)
    assert (numbers[declines.name], numbers[HOUR.name]) == (0, 1)


async def test_what_the_processor_said_is_kept_when_settling_and_asked_for_by_card(till: Till) -> None:
    asked = Velocity("last_cvc_check_by_card_ever", "last", "cvc_check", "card", None)
    card = Traces(card_fingerprint="fp")
    for checks in ({"cvc_check": "pass"}, {"cvc_check": "fail", "avs_address": "pass"}, {}):
        opened = await till.open(traces=card)
        assert isinstance(opened, Opened)
        settled = await till.settle(opened.transaction, approved(opened.transaction, checks=checks))
        assert settled.payment.processor_checks == checks
    declined = await till.open(traces=card)
    assert isinstance(declined, Opened)
    failure = Failure(DeclineCode.INCORRECT_CVC, "No.", Advice.CONFIRM_CARD_DATA, "Incorrect_CVC")
    await till.settle(declined.transaction, Declined(failure=failure, checks={"cvc_check": "unchecked"}))
    code = Velocity("last_decline_code_by_card_24h", "last", "decline_code", "card", 86_400)
    seen: list[Counted] = []
    await till.open(traces=card, velocity=(asked, code), seen=seen)
    assert seen == [{asked.name: "unchecked", code.name: "incorrect_cvc"}]
