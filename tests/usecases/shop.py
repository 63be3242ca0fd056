"""A merchant's shop at a wired gateway, whose payments go the whole way, by rules of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

from fraud_rules import load_ruleset
from server.bootstrap import make_use_cases
from server.clock import utc_now
from server.domain.ids import new_id
from server.domain.merchant import Merchant
from server.domain.payment import Address, CaptureMethod, Customer, Method, Payment
from server.processors.contract import Instrument
from server.rpc.payment_service import PaymentUseCases
from server.screening.rulesets import Lineup, Rulesets
from server.screening.screen import Screening
from server.storage.merchants import insert_merchant
from server.usecases.create_payment import CreatePaymentCommand
from tests.usecases.conftest import Gateway


@dataclass(frozen=True)
class Shop:
    """A merchant whose payments are screened."""

    gateway: Gateway
    payments: PaymentUseCases

    async def pay(
        self, instrument: Instrument, method: Method = Method.CREDIT_CARD, key: str = "", **changes: Any
    ) -> Payment:
        """Asks for 19.99 USD."""
        command = CreatePaymentCommand(
            amount=1999,
            currency="USD",
            method=method,
            capture_method=CaptureMethod.AUTOMATIC,
            instrument=instrument,
            customer=Customer(id="cus_1", email="ada@example.com"),
            billing_address=Address(country="US"),
            shipping_address=Address(country="US"),
            description="Order 1001",
            metadata={},
            return_url="https://shop.example/done",
            cancel_url="https://shop.example/cancelled",
        )
        changed = replace(command, **changes)
        return (await self.payments.create(self.gateway.caller, key or str(uuid4()), changed)).value

    async def confirm(self, payment: Payment) -> Payment:
        """Confirms as the merchant."""
        return (await self.payments.confirm(self.gateway.caller, str(uuid4()), payment.id)).value


@asynccontextmanager
async def shop_at(gateway: Gateway, rules: Path) -> AsyncIterator[Shop]:
    """Opens a shop for a new merchant."""
    ruleset = load_ruleset(rules)
    in_force = SimpleNamespace(lineup=Lineup(ruleset, candidate=None, shadow=None))
    screening = Screening(cast(Rulesets, in_force))
    now = utc_now()
    gateway.till.merchant = new_id()  # merchants are listed by their ids, and other tests share the database
    merchant = Merchant(gateway.till.merchant, "Shop", True, "US", "UTC", "USD", now, now)
    await gateway.core.transactions.run(insert_merchant, merchant)
    yield Shop(gateway, make_use_cases(gateway.core, screening).payments)
    await gateway.core.shield.drain()
    ruleset.close()
