"""Servers and workers whose processor answers inside of their own process: `python -m bench.stand_in serve|worker`.

Benchmarks run them in the place of `kassa serve` and `kassa worker`, with the same settings: all is the gateway's own
but the processor, which approves each request after `BENCH_PROCESSOR_S` seconds. It leaves the same records as Stripe's
adapter, fee and recorded call included, and costs nearly nothing, so that a figure tells of the gateway alone.
`BENCH_BURN` makes a server burn that share of its own CPU beside, to see that `bench.guard` finds what became dearer.
"""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, NoReturn
from uuid import uuid4

import typer

from server.bootstrap import run_server, run_worker
from server.cli import run_process
from server.domain.fee import Fee
from server.domain.outcome import Approved, Outcome
from server.processors.contract import (
    Account,
    Authorization,
    Capture,
    DisputeAnswer,
    DisputeStanding,
    FraudWarning,
    ProcessorEvent,
    Refund,
    Totals,
    Void,
)
from server.processors.exchanges import Json, exchange
from server.processors.stripe import StripeEndpoint, StripeProcessor
from server.settings import Settings, load

LATENCY = "BENCH_PROCESSOR_S"
BURN = "BENCH_BURN"
app = typer.Typer(add_completion=False)


class StandIn:
    """Stripe as benchmarks need it: every card is good, every answer comes after the same time.

    The id of a payment says what was captured, so that a worker in another process can compare books with it.

    Args:
        latency_s: Seconds that an answer takes.
        burn: Seconds of CPU that it burns for each second that its process takes otherwise.
    """

    def __init__(self, latency_s: float, burn: float = 0.0) -> None:
        stripe = StripeProcessor(StripeEndpoint())
        self.name, self.credential_names, self.capabilities = stripe.name, stripe.credential_names, stripe.capabilities
        self._latency_s, self._burn, self._began_s, self._burnt_s = latency_s, burn, time.process_time(), 0.0

    async def authorize(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`."""
        intent = f"pi_{request.amount}{request.currency}{uuid4().hex[:16]}"
        with exchange("POST v1/payment_intents", lambda: _asked(request), str(request.transaction_id)) as told:
            await asyncio.sleep(self._latency_s)
            self._burn_some()
            told.answered(200, lambda: _answer(request, intent), f"req_{intent[-14:]}")
        return Approved(
            processor_payment_id=intent,
            processor_transaction_id=_charge(intent),
            amount=request.amount,
            currency=request.currency,
            captured=request.capture,
            fee=_fee(request.amount, request.currency, intent) if request.capture else None,
            checks={"cvc_check": "pass", "avs_postcode": "pass"},
        )

    def _burn_some(self) -> None:
        began = time.thread_time()
        owed = self._burn * (time.process_time() - self._began_s - self._burnt_s) - self._burnt_s
        while time.thread_time() - began < owed:
            pass
        self._burnt_s += max(0.0, owed)

    async def complete(self, account: Account, request: Authorization) -> Outcome:
        """See `Processor`. Nothing of ours is left half done but by a process that was killed."""
        return await self.resolve(account, request)

    async def resolve(self, account: Account, request: Authorization | Capture | Void | Refund) -> Outcome:
        """See `Processor`."""
        if isinstance(request, Authorization):
            return await self.authorize(account, request)
        return await self._done(request)

    async def capture(self, account: Account, request: Capture) -> Outcome:
        """See `Processor`."""
        return await self._done(request)

    async def void(self, account: Account, request: Void) -> Outcome:
        """See `Processor`."""
        return await self._done(request)

    async def refund(self, account: Account, request: Refund) -> Outcome:
        """See `Processor`."""
        return await self._done(request)

    async def read_totals(self, account: Account, processor_payment_id: str) -> Totals:
        """See `Processor`."""
        digits = processor_payment_id.removeprefix("pi_")
        amount = digits[: next(index for index, one in enumerate(digits) if not one.isdigit())]
        return Totals(int(amount), 0, digits[len(amount) : len(amount) + 3])

    async def read_fee(self, account: Account, processor_payment_id: str, capture_id: str) -> Fee | None:
        """See `Processor`."""
        totals = await self.read_totals(account, processor_payment_id)
        return _fee(totals.captured, totals.currency, processor_payment_id)

    async def list_disputes(self, account: Account, since: datetime) -> Sequence[str]:
        """See `Processor`."""
        return ()

    async def read_dispute(self, account: Account, processor_dispute_id: str) -> DisputeStanding:
        """There are none."""
        _none("dispute")

    async def answer_dispute(self, account: Account, answer: DisputeAnswer) -> DisputeStanding:
        """There are none."""
        _none("dispute")

    async def read_warning(self, account: Account, processor_warning_id: str) -> FraudWarning:
        """There are none."""
        _none("warning")

    async def parse_event(self, account: Account, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """It sends no webhooks."""
        _none("webhook")

    async def close(self) -> None:
        """See `Processor`."""

    async def _done(self, request: Capture | Void | Refund) -> Outcome:
        await asyncio.sleep(self._latency_s)
        intent = request.processor_payment_id or ""
        return Approved(
            processor_payment_id=intent,
            processor_transaction_id=f"re_{uuid4().hex[:24]}",
            amount=request.amount,
            currency=request.currency,
        )


def _none(what: str) -> NoReturn:
    raise AssertionError(f"the stand-in of benchmarks makes no {what}")


def _charge(intent: str) -> str:
    return f"ch_{intent[-24:]}"


def _fee(amount: int, currency: str, intent: str) -> Fee:
    return Fee(30 + amount * 29 // 1000, currency, f"txn_{intent[-24:]}")


def _asked(request: Authorization) -> Json:
    """What is kept of a request to Stripe."""
    return {
        "amount": str(request.amount),
        "currency": request.currency.lower(),
        "confirm": "true",
        "capture_method": "automatic" if request.capture else "manual",
        "payment_method_data[type]": "card",
        "payment_method_data[card][exp_month]": "12",
        "payment_method_data[card][exp_year]": "2030",
        "metadata[kassa_payment]": str(request.payment_id),
        "metadata[kassa_transaction]": str(request.transaction_id),
        "metadata[kassa_merchant]": str(request.merchant_id),
        "expand[0]": "latest_charge.balance_transaction",
    }


def _answer(request: Authorization, intent: str) -> Json:
    """What is kept of Stripe's answer."""
    common = {"currency": request.currency.lower(), "created": 1_790_000_000, "livemode": False}
    fee = _fee(request.amount, request.currency, intent)
    movement = {"id": fee.reference, "object": "balance_transaction", "amount": request.amount, "fee": fee.amount}
    charge = {
        "id": _charge(intent), "object": "charge", "amount": request.amount, "amount_captured": request.amount,
        "captured": True, "paid": True, "status": "succeeded", "payment_intent": intent, "disputed": False,
        "balance_transaction": movement | {"net": request.amount - fee.amount, "type": "charge", "status": "pending"},
        "outcome": {"network_status": "approved_by_network", "risk_level": "normal", "type": "authorized"},
        "payment_method_details": {
            "type": "card",
            "card": {"brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2030, "funding": "credit",
                     "checks": {"address_postal_code_check": "pass", "cvc_check": "pass"}, "network": "visa"},
        },
    }  # fmt: skip
    return common | {
        "id": intent,
        "object": "payment_intent",
        "amount": request.amount,
        "amount_received": request.amount,
        "status": "succeeded",
        "latest_charge": charge | common,
        "metadata": {"kassa_payment": str(request.payment_id), "kassa_transaction": str(request.transaction_id)},
    }


def _make(settings: Settings) -> tuple[StandIn]:
    return (StandIn(float(os.environ[LATENCY]), float(os.environ.get(BURN, "0"))),)


@app.command()
def serve(listen: Annotated[str, typer.Option(help="host:port")]) -> None:
    """Serve as `kassa serve` does."""
    settings = load(Settings).model_copy(update={"listen": listen})
    run_process(settings, run_server(settings, _make))


@app.command()
def worker() -> None:
    """Work as `kassa worker` does."""
    settings = load(Settings)
    run_process(settings, run_worker(settings, _make))


if __name__ == "__main__":
    app()
