"""What a seed draws for each payment: amount, instrument, what customer and merchant do. Pure; `shop` carries it out.

Every payment draws from a generator of its own, so that it is the same whatever the others do meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")

DASHBOARD_MERCHANT: Final = 0
"""The merchant who also works at the processor itself; no webhook of this one is dropped: only they tell of that."""


class Method(StrEnum):
    """How the customer pays, as the contract names it."""

    CREDIT_CARD = "CREDIT_CARD"
    BANK_TRANSFER = "BANK_TRANSFER"
    DIGITAL_WALLET = "DIGITAL_WALLET"
    CRYPTOCURRENCY = "CRYPTOCURRENCY"


class Act(StrEnum):
    """What is done with a payment once it is made."""

    CAPTURE = "CAPTURE"
    CANCEL = "CANCEL"
    REFUND = "REFUND"
    CAPTURE_ELSEWHERE = "CAPTURE_ELSEWHERE"
    CANCEL_ELSEWHERE = "CANCEL_ELSEWHERE"
    REFUND_ELSEWHERE = "REFUND_ELSEWHERE"


class Manners(StrEnum):
    """How a client behaves that gets no answer."""

    REPEATS = "REPEATS"
    """Asks again with the same key until it knows."""
    LEAVES = "LEAVES"
    """Hangs up early, and never comes back."""
    RACES = "RACES"
    """Sends the same request with the same key to both servers at once, then repeats."""


@dataclass(frozen=True, slots=True)
class Step:
    """One act. `amount` in minor units, None: all there is; `delay_s`: seconds to think before."""

    act: Act
    amount: int | None
    manners: Manners
    delay_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """One payment and what becomes of it.

    Attributes:
        index: Number of the payment within its seed.
        merchant: Number of the merchant.
        amount: Minor units of `currency`.
        manual: Held first and captured by a step.
        card: Card number, or empty.
        token: The processor's token, or empty.
        choice: What the customer does on the page, where there is one; empty: never opens it.
        confirms: The merchant confirms after that; else a webhook must tell.
        manners: Of the client that makes the payment.
        steps: Groups of acts; those of one group are done at the same time.
        returns: The client asks once more with its first key at the very end.
    """

    index: int
    merchant: int
    amount: int
    currency: str
    method: Method
    manual: bool
    card: str
    token: str
    choice: str
    confirms: bool
    manners: Manners
    steps: tuple[tuple[Step, ...], ...]
    returns: bool


_STEP: Final = {"KWD": 10, "HUF": 100, "TWD": 100}
"""The smallest amount in minor units that the processors can write."""
_SMALLEST: Final = 1_000
_LARGEST: Final = 400_000
_CARD_CURRENCIES: Final = ("USD", "USD", "EUR", "GBP", "JPY", "KWD", "ISK")
_WALLET_CURRENCIES: Final = ("USD", "EUR", "JPY", "HUF", "TWD")
_CARDS: Final = (
    (40, "4242424242424242"),
    (10, "5555555555554444"),
    (5, "378282246310005"),
    (6, "4000000000000002"),  # declined
    (2, "4000000000009995"),  # too little money
    (2, "4000000000000119"),  # processing error
    (10, "4000000000003220"),  # 3-D Secure
    (2, "4000008400001629"),  # 3-D Secure, then declined
    (5, "4000000000007726"),  # refunds are pending at first
    (5, "4000000000005126"),  # refunds fail later
)
_NEEDS_CUSTOMER: Final = frozenset({"4000000000003220", "4000008400001629"})
_FAILING_REFUNDS: Final = "4000000000005126"
_BANKS: Final = (
    (6, "pm_usBankAccount_success"),
    (2, "pm_usBankAccount_insufficientFunds"),
    (1, "pm_usBankAccount_processing"),
)
_PAGE_3DS: Final = ((7, "approve"), (2, "decline"), (1, ""))
_PAGE_PAYPAL: Final = (
    (12, "approve"),
    (1, "approve_declined"),
    (2, "approve_echeck"),
    (1, "approve_echeck_bounces"),
    (1, "cancel"),
    (1, ""),
)
_METHODS: Final = (
    (76, Method.CREDIT_CARD),
    (14, Method.DIGITAL_WALLET),
    (7, Method.BANK_TRANSFER),
    (3, Method.CRYPTOCURRENCY),
)
_MANNERS: Final = ((78, Manners.REPEATS), (10, Manners.LEAVES), (12, Manners.RACES))


def draw_plan(seed: int, index: int, merchants: int) -> Plan:
    """Draws the payment of this number."""
    random = Random(f"{seed}:payment:{index}")
    merchant = random.randrange(merchants)
    method = _weighted(random, _METHODS)
    card = _weighted(random, _CARDS) if method is Method.CREDIT_CARD else ""
    if card == _FAILING_REFUNDS:
        merchant = DASHBOARD_MERCHANT
    currency = _currency(random, method)
    step = _STEP.get(currency, 1)
    amount = random.randint(_SMALLEST, _LARGEST) * step
    manual = method in {Method.CREDIT_CARD, Method.DIGITAL_WALLET} and random.random() < 0.35
    return Plan(
        index=index,
        merchant=merchant,
        amount=amount,
        currency=currency,
        method=method,
        manual=manual,
        card=card,
        token=_weighted(random, _BANKS) if method is Method.BANK_TRANSFER else "",
        choice=_choice(random, method, card),
        confirms=random.random() < 0.6,
        manners=_weighted(random, _MANNERS),
        steps=_Steps(random, amount, step, elsewhere=merchant == DASHBOARD_MERCHANT).draw(method, manual=manual),
        returns=random.random() < 0.08,
    )


def _currency(random: Random, method: Method) -> str:
    if method is Method.CREDIT_CARD:
        return random.choice(_CARD_CURRENCIES)
    return random.choice(_WALLET_CURRENCIES) if method is Method.DIGITAL_WALLET else "USD"


def _choice(random: Random, method: Method, card: str) -> str:
    if method is Method.DIGITAL_WALLET:
        return _weighted(random, _PAGE_PAYPAL)
    return _weighted(random, _PAGE_3DS) if method is Method.CRYPTOCURRENCY or card in _NEEDS_CUSTOMER else ""


def _weighted(random: Random, table: Sequence[tuple[int, T]]) -> T:
    return random.choices([value for _, value in table], [weight for weight, _ in table])[0]


class _Steps:
    """Draws what is done with a payment of `amount`; parts of it are multiples of `step`."""

    def __init__(self, random: Random, amount: int, step: int, *, elsewhere: bool) -> None:
        self._random, self._amount, self._step, self._elsewhere = random, amount, step, elsewhere

    def draw(self, method: Method, *, manual: bool) -> tuple[tuple[Step, ...], ...]:
        groups = [self._ending(method)] if manual else []
        return tuple(group for group in (*groups, *self._refunds(method)) if group)

    def _ending(self, method: Method) -> tuple[Step, ...]:
        """What ends a hold: mostly a capture; sometimes two that contradict each other, at the same time."""
        whole, part, cancel = self._step_of(Act.CAPTURE, None), self._step_of(Act.CAPTURE, self._part()), self._cancel()
        wanted = [(10, (whole,)), (6, (part,)), (4, (cancel,)), (2, ()), (2, (whole, cancel)), (2, (part, whole))]
        if self._elsewhere and method is Method.CREDIT_CARD:
            captured, cancelled = self._step_of(Act.CAPTURE_ELSEWHERE, None), self._step_of(Act.CANCEL_ELSEWHERE, None)
            wanted += [(3, (captured,)), (3, (cancelled,)), (2, (captured, whole)), (2, (cancelled, whole))]
        return _weighted(self._random, wanted)

    def _refunds(self, method: Method) -> list[tuple[Step, ...]]:
        random = self._random
        many = tuple(self._step_of(Act.REFUND, self._part()) for _ in range(random.randint(2, 4)))
        wanted: list[tuple[int, list[tuple[Step, ...]]]] = [
            (60, []),
            (12, [(self._step_of(Act.REFUND, None),)]),
            (10, [(self._step_of(Act.REFUND, self._part()),)]),
            (6, [many]),
            (4, [(one,) for one in many]),
            (2, [(self._step_of(Act.REFUND, None), self._step_of(Act.REFUND, None))]),
            (1, [(self._step_of(Act.REFUND, self._amount + self._step),)]),
            (1, [(self._cancel(), self._step_of(Act.REFUND, None))]),
        ]
        if self._elsewhere and method in {Method.CREDIT_CARD, Method.DIGITAL_WALLET}:
            made = self._step_of(Act.REFUND_ELSEWHERE, self._part())
            wanted += [(6, [(made,)]), (4, [(made, self._step_of(Act.REFUND, self._part()))])]
        return _weighted(random, wanted)

    def _cancel(self) -> Step:
        return self._step_of(Act.CANCEL, None)

    def _part(self) -> int:
        steps = self._amount // self._step
        return self._random.randint(1, max(1, steps - 1)) * self._step

    def _step_of(self, act: Act, amount: int | None) -> Step:
        manners = _weighted(self._random, _MANNERS)
        delay_s = self._random.choice((0.0, 0.0, 0.02, 0.3))
        return Step(act, amount, manners, delay_s)
