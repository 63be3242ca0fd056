"""The circuit breaker, and what it does in front of an adapter."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from server.domain.errors import KassaError, Reason
from server.domain.outcome import Outcome, Pending
from server.domain.payment import Method
from server.processors.circuit import Circuit
from server.processors.contract import (
    Account,
    Authorization,
    Capabilities,
    Capture,
    DisputeAnswer,
    OutcomeUnknown,
    Processor,
    ProcessorBusy,
    ProcessorEvent,
    ProcessorRejected,
    ProcessorUnavailable,
    Refund,
    Void,
)
from server.processors.guarded import Guarded
from server.processors.paypal import PayPalEndpoint, PayPalProcessor
from server.processors.registry import Registry
from server.processors.stripe import StripeEndpoint, StripeProcessor
from server.processors.stripe.currencies import CAPABILITIES
from tests.processors.requests_to_processors import make_authorization, make_card

REQUEST = make_authorization(make_card(), Method.CREDIT_CARD)
PENDING = Pending(processor_payment_id="pi_1")
ANSWER = DisputeAnswer(key="a", processor_dispute_id="dp_1", evidence=None)


@dataclass
class Clock:
    """Seconds as the test says."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scripted:
    """An adapter that raises what `fails` holds, and counts its calls."""

    name: str = "scripted"
    credential_names: tuple[str, ...] = ()
    capabilities: Capabilities = CAPABILITIES
    fails: Exception | None = None
    calls: int = 0
    closed: bool = False
    gate: asyncio.Event | None = field(default=None, repr=False)

    async def _answer(self) -> Outcome:
        self.calls += 1
        if self.gate is not None:
            await asyncio.wait_for(self.gate.wait(), 5)
        if self.fails is not None:
            raise self.fails
        return PENDING

    async def authorize(self, account: Account, request: Authorization) -> Outcome:
        return await self._answer()

    async def complete(self, account: Account, request: Authorization) -> Outcome:
        return await self._answer()

    async def capture(self, account: Account, request: Capture) -> Outcome:
        return await self._answer()

    async def void(self, account: Account, request: Void) -> Outcome:
        return await self._answer()

    async def refund(self, account: Account, request: Refund) -> Outcome:
        return await self._answer()

    async def resolve(self, account: Account, request: Any) -> Outcome:
        return await self._answer()

    async def read_dispute(self, account: Account, processor_dispute_id: str) -> Any:
        return await self._answer()

    async def answer_dispute(self, account: Account, answer: DisputeAnswer) -> Any:
        return await self._answer()

    async def read_fee(self, account: Account, processor_payment_id: str, capture_id: str) -> Any:
        return await self._answer()

    async def read_totals(self, account: Account, processor_payment_id: str) -> Any:
        return await self._answer()

    async def parse_event(self, account: Account, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        await self._answer()
        raise AssertionError("no event is needed")

    async def close(self) -> None:
        self.closed = True


def questions(processor: Processor, account: Account) -> list[Callable[[], Awaitable[Any]]]:
    """All that is asked about what exists already."""
    return [
        lambda: processor.resolve(account, REQUEST),
        lambda: processor.complete(account, REQUEST),
        lambda: processor.read_dispute(account, "dp_1"),
        lambda: processor.read_fee(account, "pi_1", "ch_1"),
        lambda: processor.read_totals(account, "pi_1"),
    ]


def an_account() -> Account:
    return Account(uuid4(), None, "scripted", True, {})


def guarded(adapter: Processor, clock: Clock) -> Guarded:
    return Guarded(adapter, lambda: Circuit(3, 10, clock))


async def fail(processor: Processor, account: Account, error: type[Exception], times: int) -> None:
    for _ in range(times):
        with pytest.raises(error):
            await processor.authorize(account, REQUEST)


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), ProcessorUnavailable("gone")])
async def test_opens_after_consecutive_silences_and_sends_nothing_then(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    adapter, clock, account = Scripted(fails=error), Clock(), an_account()
    processor = guarded(adapter, clock)
    await fail(processor, account, type(error), 3)
    assert "opened" in caplog.text
    for act in (processor.authorize, processor.capture, processor.void, processor.refund):
        with pytest.raises(ProcessorUnavailable):
            await act(account, REQUEST)  # type: ignore[operator]
    assert adapter.calls == 3


async def test_an_answer_of_any_kind_closes(caplog: pytest.LogCaptureFixture) -> None:
    adapter, account = Scripted(fails=OutcomeUnknown("lost")), an_account()
    processor = guarded(adapter, Clock())
    for answer in (None, ProcessorRejected("no")):
        await fail(processor, account, OutcomeUnknown, 2)
        adapter.fails = answer
        if answer is None:
            assert await processor.authorize(account, REQUEST) == PENDING
        else:
            await fail(processor, account, ProcessorRejected, 1)
        adapter.fails = OutcomeUnknown("lost")
    await fail(processor, account, OutcomeUnknown, 2)
    assert "opened" not in caplog.text


async def test_our_own_limit_is_no_silence() -> None:
    adapter, account = Scripted(fails=ProcessorBusy("full")), an_account()
    processor = guarded(adapter, Clock())
    await fail(processor, account, ProcessorBusy, 10)
    assert adapter.calls == 10


async def test_probes_one_at_a_time_until_one_is_answered() -> None:
    adapter, clock, account = Scripted(fails=OutcomeUnknown("lost")), Clock(), an_account()
    processor = guarded(adapter, clock)
    await fail(processor, account, OutcomeUnknown, 3)
    clock.now = 10
    await fail(processor, account, OutcomeUnknown, 1)
    await fail(processor, account, ProcessorUnavailable, 1)
    assert adapter.calls == 4
    clock.now, adapter.fails, adapter.gate = 20, None, asyncio.Event()
    probe = asyncio.create_task(processor.authorize(account, REQUEST))
    await asyncio.sleep(0)  # Lets it go.
    await fail(processor, account, ProcessorUnavailable, 5)
    assert adapter.calls == 5
    adapter.gate.set()
    assert await probe == PENDING
    assert await processor.authorize(account, REQUEST) == PENDING


def test_a_probe_that_never_ends_does_not_keep_it_open() -> None:
    clock = Clock()
    circuit = Circuit(1, 10, clock)
    circuit.failed()
    clock.now = 10
    assert circuit.allows() and not circuit.allows()
    clock.now = 20
    assert circuit.allows()
    circuit.succeeded()
    assert circuit.allows() and circuit.allows() and not circuit.is_open


async def test_accounts_have_circuits_of_their_own() -> None:
    adapter, account = Scripted(fails=OutcomeUnknown("lost")), an_account()
    processor = guarded(adapter, Clock())
    await fail(processor, account, OutcomeUnknown, 3)
    adapter.fails = None
    assert await processor.authorize(an_account(), REQUEST) == PENDING


async def test_questions_pass_an_open_circuit_and_neither_open_nor_close_it() -> None:
    adapter, account = Scripted(fails=OutcomeUnknown("lost")), an_account()
    processor = guarded(adapter, Clock())
    for _ in range(5):
        with pytest.raises(OutcomeUnknown):
            await processor.resolve(account, REQUEST)
    await fail(processor, account, OutcomeUnknown, 3)
    adapter.fails = None
    for ask in questions(processor, account):
        assert await ask() == PENDING
    await fail(processor, account, ProcessorUnavailable, 1)


@pytest.mark.parametrize("error", [ProcessorUnavailable("gone"), ProcessorBusy("full"), ProcessorRejected("no")])
async def test_a_question_that_fails_is_never_an_answer(error: Exception) -> None:
    """Else a payment that was charged would be settled as failed because recovery could not reach the processor."""
    processor, account = guarded(Scripted(fails=error), Clock()), an_account()
    for ask in questions(processor, account):
        with pytest.raises(OutcomeUnknown):
            await ask()


async def test_an_answer_to_a_dispute_passes_an_open_circuit() -> None:
    """It has a last day, and is harmless to repeat."""
    adapter, account = Scripted(fails=OutcomeUnknown("lost")), an_account()
    processor = guarded(adapter, Clock())
    await fail(processor, account, OutcomeUnknown, 3)
    adapter.fails = None
    assert await processor.answer_dispute(account, ANSWER) == PENDING  # type: ignore[comparison-overlap]
    await fail(processor, account, ProcessorUnavailable, 1)


@pytest.mark.parametrize("error", [ProcessorUnavailable("gone"), ProcessorBusy("full"), OutcomeUnknown("lost")])
async def test_an_answer_to_a_dispute_that_may_have_arrived_must_be_repeated(error: Exception) -> None:
    processor, account = guarded(Scripted(fails=error), Clock()), an_account()
    with pytest.raises(OutcomeUnknown):
        await processor.answer_dispute(account, ANSWER)


async def test_an_answer_to_a_dispute_that_is_refused_is_told() -> None:
    processor, account = guarded(Scripted(fails=ProcessorRejected("no")), Clock()), an_account()
    with pytest.raises(ProcessorRejected, match="no"):
        await processor.answer_dispute(account, ANSWER)


async def test_webhooks_pass_as_they_are() -> None:
    adapter, account = Scripted(fails=ProcessorUnavailable("no certificate")), an_account()
    processor = guarded(adapter, Clock())
    for _ in range(5):
        with pytest.raises(ProcessorUnavailable, match="no certificate"):
            await processor.parse_event(account, {}, b"")


async def test_the_registry_knows_adapters_and_routes() -> None:
    stripe = Guarded(StripeProcessor(StripeEndpoint()))
    paypal = Guarded(PayPalProcessor(PayPalEndpoint()))
    registry = Registry({stripe.name: stripe, paypal.name: paypal})
    for method in Method:
        assert method in registry.get(registry.processor_for(method)).capabilities.methods
    with pytest.raises(KassaError) as refused:
        Registry({"paypal": paypal}).get("stripe")
    assert refused.value.reason is Reason.PROCESSOR_NOT_CONFIGURED
    assert refused.value.metadata == {"processor": "stripe", "configured": "paypal"}
    scripted = Scripted()
    await Registry({"scripted": guarded(scripted, Clock())}).close()
    assert scripted.closed
    await registry.close()
