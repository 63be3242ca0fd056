"""Carries out the plans of a seed: merchants' calls to both servers, customers' acts, what is done past Kassa."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import aiohttp
from kassa.v1 import payment_service_pb2 as pb

from sandbox.simulator.merchants import Merchant
from sandbox.simulator.plan import Act, Manners, Method, Plan, Step
from sandbox.simulator.told import Call, Verb
from sandbox.simulator.wire import Send, Wire

_SHOP: Final = "https://shop.example"
_ELSEWHERE: Final = 500
"""What a refund past Kassa returns, in the processor's own units."""
_LOOKS: Final = 12
_LOOK_EVERY_S: Final = 0.25
_VERBS: Final = {Act.CAPTURE: Verb.CAPTURE, Act.CANCEL: Verb.CANCEL, Act.REFUND: Verb.REFUND}


class Shop:
    """The clients of one seed.

    Args:
        merchants: By their number.
        sandbox_url: Of the processors' stand-ins.
    """

    def __init__(
        self, wire: Wire, http: aiohttp.ClientSession, seed: int, merchants: Sequence[Merchant], sandbox_url: str
    ) -> None:
        self._wire, self._http, self._seed = wire, http, seed
        self._merchants, self._sandbox_url = merchants, sandbox_url
        self.calls: list[Call] = []
        self.elsewhere: set[str] = set()
        """TypeIDs of the payments that somebody touched past Kassa."""

    async def serve(self, plan: Plan) -> None:
        """Makes one payment and does what its plan says."""
        random = Random(f"{self._seed}:clients:{plan.index}")
        request = self._create_request(plan)
        call, send = self._call(plan, Verb.CREATE, "create"), self._send(plan, "CreatePayment", request, "create")
        payment = await self._wire.ask(call, send, plan.manners, random)
        if isinstance(payment, pb.Payment):
            payment = await self._with_customer(plan, payment, random)
            for number, group in enumerate(plan.steps):
                await asyncio.gather(
                    *(self._take(plan, payment, step, f"{number}.{place}") for place, step in enumerate(group))
                )
        if plan.returns:
            again = self._send(plan, "CreatePayment", request, "create")
            await self._wire.ask(call, again, Manners.REPEATS, random)

    async def _with_customer(self, plan: Plan, payment: pb.Payment, random: Random) -> pb.Payment:
        """Lets the customer act where the payment waits for that, and waits for what comes of it."""
        url = payment.next_action.redirect_url
        if payment.state == pb.Payment.PENDING and url and plan.choice:
            await self._visit(url, plan.choice)
            if plan.confirms:
                call = self._call(plan, Verb.CONFIRM, "confirm", payment.id)
                request = pb.ConfirmPaymentRequest(payment_id=payment.id)
                send = self._send(plan, "ConfirmPayment", request, "confirm")
                found = await self._wire.ask(call, send, random.choice(list(Manners)), random)
                payment = found if isinstance(found, pb.Payment) else payment
        if plan.steps and payment.state in {pb.Payment.PENDING, pb.Payment.PROCESSING}:
            payment = await self._look_until_it_moves(plan, payment, random)
        return payment

    async def _look_until_it_moves(self, plan: Plan, payment: pb.Payment, random: Random) -> pb.Payment:
        send = self._send(plan, "GetPayment", pb.GetPaymentRequest(payment_id=payment.id))
        for _ in range(_LOOKS):
            await asyncio.sleep(_LOOK_EVERY_S)
            found = await self._wire.read(send, random)
            if isinstance(found, pb.Payment) and found.state not in {pb.Payment.PENDING, pb.Payment.PROCESSING}:
                return found
        return payment

    async def _visit(self, url: str, choice: str) -> None:
        try:
            async with self._http.post(url, data={"choice": choice}, allow_redirects=False) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError):  # the customer closes the page
            return

    async def _take(self, plan: Plan, payment: pb.Payment, step: Step, name: str) -> None:
        await asyncio.sleep(step.delay_s)
        if step.act not in _VERBS:
            await self._work_elsewhere(plan, payment, step)
            return
        verb, key = _VERBS[step.act], f"{name}.{step.act.value.lower()}"
        call = self._call(plan, verb, key, payment.id, step.amount)
        method, request = _step_request(payment.id, step)
        random = Random(f"{self._seed}:step:{plan.index}:{name}")
        await self._wire.ask(call, self._send(plan, method, request, key), step.manners, random)

    async def _work_elsewhere(self, plan: Plan, payment: pb.Payment, step: Step) -> None:
        """Captures, cancels or refunds at the processor itself, as a merchant does in its dashboard."""
        if not payment.processor_payment_id:
            return
        self.elsewhere.add(payment.id)
        merchant, intent = self._merchants[plan.merchant], payment.processor_payment_id
        headers = {"Authorization": f"Bearer {merchant.stripe_key}"}
        try:
            if step.act is Act.REFUND_ELSEWHERE:
                await self._refund_elsewhere(plan, merchant, payment)
            else:
                verb = "capture" if step.act is Act.CAPTURE_ELSEWHERE else "cancel"
                url = f"{self._sandbox_url}/v1/payment_intents/{intent}/{verb}"
                async with self._http.post(url, headers=headers) as response:
                    await response.read()
        except (aiohttp.ClientError, TimeoutError):  # faults strike here, too; the dashboard shows an error
            return

    async def _refund_elsewhere(self, plan: Plan, merchant: Merchant, payment: pb.Payment) -> None:
        body: dict[str, object] = {"payment_intent": payment.processor_payment_id, "account": merchant.stripe_account}
        if plan.method is Method.DIGITAL_WALLET:
            body = {"capture": await self._paypal_capture(plan, payment)}
        url = f"{self._sandbox_url}/sandbox/{payment.processor}/refunds"
        async with self._http.post(url, json=body | {"amount": _ELSEWHERE}) as response:
            await response.read()

    async def _paypal_capture(self, plan: Plan, payment: pb.Payment) -> str:
        """What PayPal calls the money that was taken; empty where none was, or nobody answered."""
        request = pb.ListTransactionsRequest(payment_id=payment.id)
        found = await self._wire.read(self._send(plan, "ListTransactions", request), Random(0))
        done = found.transactions if isinstance(found, pb.ListTransactionsResponse) else ()
        taken = {pb.Transaction.AUTHORIZATION, pb.Transaction.CAPTURE}
        ids = [one.processor_transaction_id for one in done if one.type in taken and one.processor_transaction_id]
        return ids[-1] if ids else ""

    def _call(self, plan: Plan, verb: Verb, name: str, payment: str = "", amount: int | None = None) -> Call:
        call = Call(verb, plan.merchant, self._key(plan, name), payment, amount)
        self.calls.append(call)
        return call

    def _key(self, plan: Plan, name: str) -> str:
        return f"{self._seed}-{plan.index}-{name}"

    def _send(self, plan: Plan, method: str, request: object, key: str = "") -> Send:
        metadata = [("authorization", f"Bearer {self._merchants[plan.merchant].api_key}")]
        if key:
            metadata.append(("idempotency-key", self._key(plan, key)))

        async def send(stub: object, timeout_s: float) -> Any:
            return await getattr(stub, method)(request, timeout=timeout_s, metadata=metadata)

        return send

    def _create_request(self, plan: Plan) -> pb.CreatePaymentRequest:
        request = pb.CreatePaymentRequest(
            amount=plan.amount,
            currency=plan.currency,
            method=pb.Payment.Method.Value(plan.method.value),
            capture_method=pb.Payment.MANUAL if plan.manual else pb.Payment.AUTOMATIC,
            customer=pb.Customer(id=f"cus-{self._seed}-{plan.index}", email=f"{plan.index}@example.com"),
            billing_address=pb.Address(country="US"),
            description=f"Order {plan.index}",
            metadata={"order": str(plan.index)},
            return_url=f"{_SHOP}/done",
            cancel_url=f"{_SHOP}/cancelled",
        )
        if plan.card:
            cvc = "1234" if plan.card.startswith("37") else "123"
            request.card.CopyFrom(pb.Card(number=plan.card, exp_month=12, exp_year=2040, cvc=cvc, holder="Ada Byron"))
        elif plan.token:
            request.processor_token = plan.token
        elif plan.method is Method.DIGITAL_WALLET:
            request.wallet.SetInParent()
        return request


def _step_request(payment_id: str, step: Step) -> tuple[str, object]:
    match step.act:
        case Act.CAPTURE:
            return "CapturePayment", pb.CapturePaymentRequest(payment_id=payment_id, amount=step.amount)
        case Act.CANCEL:
            return "CancelPayment", pb.CancelPaymentRequest(payment_id=payment_id)
        case _:
            return "RefundPayment", pb.RefundPaymentRequest(payment_id=payment_id, amount=step.amount)
