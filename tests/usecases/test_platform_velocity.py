"""Payments counted across merchants, through the whole of CreatePayment: only while a rule asks, tests apart."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import pytest

from fraud_rules import Ruleset, load_sources
from server.bootstrap import make_use_cases
from server.clock import utc_now
from server.domain.ids import new_id
from server.domain.merchant import Merchant
from server.domain.payment import Address, CaptureMethod, Customer, FraudDecision, Method
from server.screening.rulesets import Lineup, Rulesets
from server.screening.screen import Screening
from server.screening.shadow import Shadow
from server.storage.decision_reads import get_decision
from server.storage.merchants import insert_merchant
from server.usecases.answers import Caller
from server.usecases.create_payment import CreatePaymentCommand
from server.usecases.idempotency import RequestHasher
from tests.fraud_rules.rulefiles import rule
from tests.processors.requests_to_processors import make_card
from tests.screening.lineups import sources
from tests.usecases.conftest import Gateway

NAME = "distinct_merchant_by_device_across_platform_1h"
ASKS = sources(rule("everywhere", 'distinct("merchant", by="device", within="1h", across="platform") >= 0'))
ASKS_NOT = sources(rule("here", 'count("payments", by="device", within="1h") >= 0'))


class Shops:
    """Merchants at one gateway, whose customers share a device that nobody else has."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.device = gateway, uuid4().hex

    async def pay(self, screening: Screening) -> FraudDecision:
        """Pays a merchant who was never paid before."""
        now = utc_now()
        merchant = Merchant(new_id(), "Shop", True, "US", "UTC", "USD", now, now)
        await self.gateway.core.transactions.run(insert_merchant, merchant)
        command = CreatePaymentCommand(
            amount=1999,
            currency="USD",
            method=Method.CREDIT_CARD,
            capture_method=CaptureMethod.AUTOMATIC,
            instrument=make_card(),
            customer=Customer(id="cus_1", device_id=self.device),
            billing_address=Address(),
            shipping_address=Address(),
            description="",
            metadata={},
            return_url="",
            cancel_url="",
        )
        payments = make_use_cases(self.gateway.core, screening).payments
        payment = (await payments.create(Caller(merchant.id, test_mode=True), str(uuid4()), command)).value
        decided = await self.gateway.core.reads.run(get_decision, merchant.id, payment.id)
        assert decided is not None
        return decided.decision

    def kept(self) -> int:
        """How many rows there are under the device."""
        hashed = self.gateway.core.hasher().platform({"device": self.device}, test_mode=True)["device"]
        counted = "SELECT count(*) FROM platform_velocity WHERE key_hash = CAST(:key AS bytea)"
        ((count,),) = self.gateway.till.query(counted, key=rf"\x{hashed}")
        return cast(int, count)


@pytest.fixture
async def shops(gateway: Gateway) -> AsyncIterator[Shops]:
    yield Shops(gateway)
    await gateway.core.shield.drain()


@contextmanager
def deciding(live: Ruleset, shadow: Ruleset | None = None) -> Iterator[Screening]:
    beside = None if shadow is None else Shadow(shadow, lambda *_: None)
    in_force = SimpleNamespace(lineup=Lineup(live, candidate=None, shadow=beside))
    yield Screening(cast(Rulesets, in_force))


@pytest.fixture
def asks() -> Iterator[Ruleset]:
    ruleset = load_sources(ASKS)
    yield ruleset
    ruleset.close()


@pytest.fixture
def asks_not() -> Iterator[Ruleset]:
    ruleset = load_sources(ASKS_NOT)
    yield ruleset
    ruleset.close()


async def test_every_merchants_payments_count_from_the_release_of_the_rule_on(
    shops: Shops, asks: Ruleset, asks_not: Ruleset
) -> None:
    with deciding(asks_not) as screening:
        await shops.pay(screening)
        assert shops.kept() == 0
    with deciding(asks) as screening:
        counted = [(await shops.pay(screening)).facts[NAME] for _ in range(3)]
    assert (counted, shops.kept()) == ([0, 1, 2], 3)


async def test_a_shadow_that_asks_begins_the_past_of_the_rule(shops: Shops, asks: Ruleset, asks_not: Ruleset) -> None:
    with deciding(asks_not, asks) as screening:
        for expected in range(2):
            decision = await shops.pay(screening)
            assert NAME not in decision.facts
            assert [one.facts for one in decision.shadows] == [{NAME: expected}]
    with deciding(asks) as screening:
        assert (await shops.pay(screening)).facts[NAME] == 2


def test_what_is_counted_by_tells_nothing_and_tests_are_apart() -> None:
    hasher = RequestHasher(b"h" * 32, b"f" * 32, b"p" * 32)
    values = {"card": "c0ffee", "ip": "c0ffee", "email": ""}
    live, test = (hasher.platform(values, test_mode=mode) for mode in (False, True))
    assert set(live) == set(test) == {"card", "ip"}, "what is unknown has no key"
    every = [*live.values(), *test.values()]
    assert len(set(every)) == 4 and {len(one) for one in every} == {32}
    assert not any("c0ffee" in one for one in every)
    another = RequestHasher(b"h" * 32, b"f" * 32, b"q" * 32)
    assert another.platform(values, test_mode=False)["card"] != live["card"]
    assert hasher.platform(values, test_mode=False) == live
