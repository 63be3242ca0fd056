"""Velocity as of each payment's time: the fast way agrees with the plain one, and remembers no more than it must."""

from datetime import date
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_rules.backtest.history import History
from fraud_rules.backtest.payments import SECOND, Payment
from fraud_rules.backtest.questions import Cents
from fraud_rules.rates import Rates
from fraud_rules.velocity import (
    BY,
    OVER,
    PLATFORM,
    PLATFORM_BY,
    PLATFORM_DISTINCT,
    PLATFORM_FUNCTIONS,
    WITHOUT_WINDOW,
    Function,
    VelocityFact,
    velocity_fact,
)
from tests.fraud_rules.backtest.recount import recount

RATES = Rates(date(2026, 1, 1), {"USD": Fraction(1), "EUR": Fraction(11, 10), "JPY": Fraction(2, 3)})
MINUTE = 60 * SECOND
WORDS = st.sampled_from(["a", "a", "a", "b", None])


@st.composite
def velocity_facts(draw: st.DrawFn) -> VelocityFact:
    function = draw(st.sampled_from(Function))
    over = draw(st.sampled_from(OVER[function]))
    by = draw(st.sampled_from([by for by in BY if by != over]))
    if function in PLATFORM_FUNCTIONS and draw(st.booleans()):
        by = draw(st.sampled_from(PLATFORM_BY))
        overs = [one for one in PLATFORM_DISTINCT if one != by] if function is Function.DISTINCT else ["payments"]
        within = draw(st.sampled_from(["1m", "3m", "10m", "1h"]))
        return velocity_fact(function, draw(st.sampled_from(overs)), by, within, PLATFORM)
    windows = ["1m", "3m", "10m", "1h", "ever"]
    return velocity_fact(function, over, by, draw(st.sampled_from(windows)))


@st.composite
def payments(draw: st.DrawFn) -> list[Payment]:
    at, made = 1_700_000_000 * SECOND, []
    later = st.one_of(st.none(), st.integers(-MINUTE, 20 * MINUTE))
    for place in range(1, draw(st.integers(1, 25)) + 1):
        at += draw(st.sampled_from([0, SECOND, 20 * SECOND, MINUTE, MINUTE + 1, 3 * MINUTE, 12 * MINUTE]))
        named = {name: draw(WORDS) for name in ("card", "customer", "email", "ip", "device", "shipping_address")}
        amount, currency = draw(st.integers(0, 10_000)), draw(st.sampled_from(["USD", "EUR", "JPY", "XXX"]))
        facts = {name: value for name, value in named.items() if value} | {"amount": amount, "currency": currency}
        moments = [None if wait is None else at + wait for wait in (draw(later), draw(later), draw(later))]
        said = {"cvc_check": draw(st.sampled_from(["pass", "fail"]))} if draw(st.booleans()) else None
        happened = [draw(st.booleans()) for _ in ("approved", "declined", "blocked")]
        rest = (*happened, *moments, draw(st.integers(0, 99)), said)
        merchant, world = draw(st.sampled_from(["m", "m", "m", "n"])), draw(st.sampled_from(["", "", "", "test"]))
        made.append(Payment(place, at, merchant, facts, amount, currency, None, *rest, world))
    return made


def told(facts: list[VelocityFact], made: list[Payment]) -> list[dict[str, object]]:
    history, answers = History(facts, Cents(RATES)), []
    for payment in made:
        before = set(payment.facts)
        history.tell(payment)
        history.add(payment)
        answers.append({name: value for name, value in payment.facts.items() if name not in before})
    return answers


@settings(max_examples=150)
@given(st.lists(velocity_facts(), min_size=1, max_size=8, unique_by=lambda fact: fact.name), payments())
def test_every_function_agrees_with_counting_again(facts: list[VelocityFact], made: list[Payment]) -> None:
    plain = [Payment(*payment[:3], dict(payment.facts), *payment[4:]) for payment in made]
    for place, found in enumerate(told(facts, made)):
        expected = {fact.name: recount(fact, plain[:place], plain[place], RATES) for fact in facts}
        assert found == {name: value for name, value in expected.items() if value is not None}


def test_every_function_is_among_those_that_are_compared() -> None:
    """One of each, over a payment with a past in which all of it happened."""
    facts = [
        velocity_fact(function, over, by, "1h" if function not in WITHOUT_WINDOW else "ever")
        for function in Function
        for over in OVER[function]
        for by in BY
        if by != over
    ]
    everything = {name: "a" for name in (*BY, *OVER[Function.DISTINCT])} | {"amount": 5}
    at = 1_700_000_000 * SECOND
    said = {word: "pass" for word in OVER[Function.LAST]}
    first = Payment(1, at, "m", dict(everything), 5, "USD", None, True, True, True, at, at, at, 5, said)
    second = Payment(2, at + SECOND, "m", dict(everything), 5, "USD")
    assert set(told(facts, [first, second])[1]) == {fact.name for fact in facts}


def payment_at(seconds: int, **more: object) -> Payment:
    return Payment(seconds, seconds * SECOND, "m", {"card": "c"}, 100, "USD", **more)  # type: ignore[arg-type]


def test_a_refund_counts_from_when_it_was_known_and_in_the_window_of_its_payment() -> None:
    fact = velocity_fact(Function.COUNT, "refunds", "card", "1h")
    made = [payment_at(0, refunded_at=600 * SECOND), *map(payment_at, (599, 600, 3_599, 3_600))]
    assert [answer[fact.name] for answer in told([fact], made)] == [0, 0, 1, 1, 0]


def test_what_becomes_known_out_of_order_is_put_in_its_place() -> None:
    functions = (
        Function.COUNT,
        Function.SUM,
        Function.AVERAGE,
        Function.SECONDS_SINCE_FIRST,
        Function.SECONDS_SINCE_LAST,
    )
    facts = [
        velocity_fact(function, over, "card", window)
        for function in functions
        for over in ("refunds", "disputes", "early_fraud_warnings")
        for window in ("1h", "ever")
    ]
    known = {0: 1_000, 500: 800, 600: 900}
    late = [
        payment_at(at, refunded_at=when * SECOND, disputed_at=when * SECOND, warned_at=when * SECOND, refunded=at + 1)
        for at, when in known.items()
    ]
    made = [*late, *map(payment_at, (850, 950, 1_050, 3_700, 4_150, 9_000))]
    plain = [Payment(*payment[:3], dict(payment.facts), *payment[4:]) for payment in made]
    for place, found in enumerate(told(facts, made)):
        expected = {fact.name: recount(fact, plain[:place], plain[place], RATES) for fact in facts}
        assert found == {name: value for name, value in expected.items() if value is not None}


def test_memory_follows_the_windows_and_not_the_file() -> None:
    facts = [
        velocity_fact(Function.COUNT, "payments", "card", "1h"),
        velocity_fact(Function.SUM, "payments", "card", "1h"),
        velocity_fact(Function.DISTINCT, "ip", "card", "1h"),
        velocity_fact(Function.LAST, "cvc_check", "card", "1h"),
        velocity_fact(Function.COUNT, "disputes", "card", "1h"),
    ]
    history = History(facts, Cents(RATES))
    for number in range(5_000):
        at = number * MINUTE
        busy, idle = {"card": "busy", "ip": str(number)}, {"card": str(number), "ip": "i"}
        for place, one in enumerate((busy, idle)):
            later = at + 90 * 86_400 * SECOND  # known when no window reaches the payment any more
            payment = Payment(
                2 * number + place, at, "m", dict(one), 100, "USD", disputed_at=later, said={"cvc_check": "pass"}
            )
            history.tell(payment)
            history.add(payment)
    assert history.size() < 1_500
