"""What Stripe's disputes, fees and refunds mean, where no sandbox can tell: other currencies, other statuses, pages."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it comes without types
import pytest
from aiohttp import web
from stripe import WebhookSignature

from server.domain.dispute import DisputeReason, DisputeState
from server.domain.fee import Fee
from server.domain.outcome import Approved
from server.domain.payment import Method
from server.processors.contract import DisputeAnswer, Evidence, ProcessorRejected, Subject, Totals
from server.processors.stripe import StripeEndpoint, StripeProcessor, events, intents
from server.processors.stripe.standing import REASONS, STATES, evidence_hash, standing
from tests.processors.accounts import StripeAccount
from tests.processors.doubles import answering
from tests.processors.eventually import eventually
from tests.processors.opened import opened
from tests.processors.requests_to_processors import make_authorization, make_card, make_refund
from tests.processors.sandbox_process import Json, Sandbox, running
from tests.sandbox.specs import fixture, stripe_requests

OPENED = 1_760_000_000


def movement(amount: int, currency: str = "usd", fee: int = 0, key: str = "txn_1") -> Json:
    return {"id": key, "amount": amount, "currency": currency, "fee": fee}


def dispute(*movements: Json, **changes: Any) -> Json:
    """Stripe's own example of a dispute, of 10.00 USD."""
    facts = {"status": "needs_response", "payment_intent": "pi_1", "created": OPENED}
    return fixture("dispute") | facts | {"balance_transactions": list(movements)} | changes


@pytest.mark.parametrize(("status", "state"), STATES.items())
def test_statuses(status: str, state: DisputeState) -> None:
    stands = standing(dispute(status=status))
    assert (stands.state, stands.inquiry) == (state, status.startswith("warning_"))
    assert (stands.respond_by is None) == (state is not DisputeState.NEEDS_RESPONSE)


def test_an_unknown_status_is_open_and_seen(caplog: pytest.LogCaptureFixture) -> None:
    assert standing(dispute(movement(-1000), status="entangled")).withdrawn == 1000
    assert standing(dispute(status="entangled")).state is DisputeState.UNDER_REVIEW
    assert {record.levelname for record in caplog.records} == {"ERROR"}


@pytest.mark.parametrize(("code", "reason"), [*REASONS.items(), ("bored", DisputeReason.GENERAL)])
def test_reasons_keep_stripes_word(code: str, reason: DisputeReason) -> None:
    stands = standing(dispute(reason=code))
    assert (stands.reason, stands.reason_code) == (reason, code)


@pytest.mark.parametrize(
    ("movements", "withdrawn", "fees"),
    [
        ([], 0, []),
        ([movement(-1000, fee=1500)], 1000, [1500]),
        ([movement(-1000, fee=1500), movement(1000, key="txn_2")], 0, [1500]),
        # Older accounts get the fee back: https://docs.stripe.com/disputes/how-disputes-work
        ([movement(-1000, fee=1500), movement(1000, fee=-1500, key="txn_2")], 0, [1500, -1500]),
        ([movement(-1000), movement(400, key="txn_2")], 600, []),
        # Settled in euros at two rates, which leave a rest of 10 that nobody disputes.
        ([movement(-900, "eur", fee=1400)], 1000, [1400]),
        ([movement(-900, "eur"), movement(890, "eur", key="txn_2")], 0, []),
    ],
)
def test_what_is_withdrawn_and_what_it_costs(movements: list[Json], withdrawn: int, fees: list[int]) -> None:
    stands = standing(dispute(*movements))
    assert (stands.withdrawn, stands.held) == (withdrawn, 0)
    assert [fee.amount for fee in stands.fees] == fees
    assert {fee.reference for fee in stands.fees} <= {"txn_1", "txn_2"}
    assert {fee.currency for fee in stands.fees} <= {str(one["currency"]).upper() for one in movements}


def test_the_rest_is_told() -> None:
    stands = standing(dispute(evidence_details={"due_by": OPENED + 60}, currency="isk", amount=99_000))
    assert (stands.amount, stands.currency) == (990, "ISK")
    assert stands.opened_at == datetime.fromtimestamp(OPENED, UTC)
    assert stands.respond_by == datetime.fromtimestamp(OPENED + 60, UTC)
    assert standing(dispute(evidence_details={"due_by": 0})).respond_by is None
    assert standing(dispute(payment_intent={"id": "pi_2"})).processor_payment_id == "pi_2"
    assert standing(dispute(payment_intent=None, charge="ch_1")).processor_payment_id == "ch_1"


def test_evidence_is_written_as_stripe_describes_it() -> None:
    day = date(2026, 5, 1)
    written = evidence_hash(
        Evidence(
            explanation="E",
            product_description="P",
            service_date=day,
            shipping_carrier="DHL",
            shipping_tracking_number="1",
            shipping_date=day,
            refund_policy="R",
            access_activity_log="A",
        )
    )
    assert written == {
        "uncategorized_text": "E",
        "product_description": "P",
        "service_date": "2026-05-01",
        "shipping_carrier": "DHL",
        "shipping_tracking_number": "1",
        "shipping_date": "2026-05-01",
        "refund_policy_disclosure": "R",
        "access_activity_log": "A",
    }
    schema = stripe_requests()["/v1/disputes/{dispute}"]
    jsonschema.Draft4Validator(schema).validate({"evidence": written, "submit": True})


def test_a_fee_that_cannot_be_understood_spoils_no_approval(caplog: pytest.LogCaptureFixture) -> None:
    charge = {"id": "ch_1", "balance_transaction": movement(1999, "xts", fee=88)}
    intent = {"id": "pi_1", "status": "succeeded", "amount": 1999, "amount_received": 1999, "currency": "usd"}
    outcome = intents.outcome(intent | {"latest_charge": charge})
    assert isinstance(outcome, Approved)
    assert (outcome.captured, outcome.fee) == (True, None)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    told = intents.outcome(intent | {"latest_charge": charge | {"balance_transaction": movement(1850, "eur", 80)}})
    assert isinstance(told, Approved) and told.fee == Fee(80, "EUR", "txn_1")


@pytest.fixture(scope="module")
def slow_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Where what comes late has not come yet."""
    with running(tmp_path_factory.mktemp("slow"), later_s=3600) as found:
        yield found


@pytest.mark.parametrize(
    ("number", "at_first", "at_last"), [("4000000000007726", 0, 500), ("4000000000005126", 500, 0)]
)
async def test_refunds_count_only_while_they_are_good(
    sandbox: Sandbox, slow_sandbox: Sandbox, number: str, at_first: int, at_last: int
) -> None:
    """Stripe's own amount_refunded counts what is pending, too."""

    async def refunded(where: Sandbox, wanted: Callable[[Totals], bool]) -> Totals:
        at = StripeAccount(where)
        request = make_authorization(make_card(number), Method.CREDIT_CARD)
        async with opened(StripeProcessor(StripeEndpoint(where.url))) as stripe:
            approved = await stripe.authorize(at.account, request)
            assert isinstance(approved, Approved)
            await stripe.refund(at.account, make_refund(request, approved, amount=500))
            return await eventually(lambda: stripe.read_totals(at.account, approved.processor_payment_id), wanted)

    first, last = Totals(1999, at_first, "USD"), Totals(1999, at_last, "USD")
    assert await refunded(slow_sandbox, lambda found: True) == first
    assert await refunded(sandbox, lambda found: found == last) == last


async def test_all_pages_of_refunds_are_added_up(sandbox: Sandbox) -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/refunds":
            asked.append(request.query.get("starting_after", ""))
            number = len(asked)
            row = {"object": "refund", "id": f"re_{number}", "status": "succeeded", "amount": 100 * number}
            row["balance_transaction"] = f"txn_{number}"
            return web.json_response({"object": "list", "data": [row], "has_more": number < 3})
        charge = {"object": "charge", "id": "ch_1", "amount_refunded": 600}
        intent = {"object": "payment_intent", "id": "pi_1", "amount_received": 1999, "currency": "usd"}
        return web.json_response(intent | {"latest_charge": charge})

    account = StripeAccount(sandbox).account
    async with answering(handle) as server, opened(StripeProcessor(StripeEndpoint(server.url))) as adapter:
        assert await adapter.read_totals(account, "pi_1") == Totals(1999, 600, "USD")
    assert asked == ["", "re_1", "re_2"]


async def test_a_refused_answer_to_an_open_dispute_is_told(sandbox: Sandbox) -> None:
    """Else a merchant would hold a dispute for answered that runs to its last day."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response(dispute())
        error = {"type": "invalid_request_error", "message": "Too long.", "param": "evidence"}
        return web.json_response({"error": error}, status=400)

    account = StripeAccount(sandbox).account
    async with answering(handle) as server, opened(StripeProcessor(StripeEndpoint(server.url))) as adapter:
        with pytest.raises(ProcessorRejected, match="invalid_request_error"):
            await adapter.answer_dispute(account, DisputeAnswer(key="a", processor_dispute_id="dp_1", evidence=None))
    (sent,) = server.asked("/v1/disputes/dp_1/close")
    assert sent["Idempotency-Key"] == "a"


@pytest.mark.parametrize(
    ("kind", "object_", "subject"),
    [
        ("charge.dispute.created", "dispute", Subject.DISPUTE),
        ("charge.dispute.updated", "dispute", Subject.DISPUTE),
        ("charge.dispute.closed", "dispute", Subject.DISPUTE),
        ("charge.dispute.funds_withdrawn", "dispute", Subject.DISPUTE),
        ("charge.dispute.funds_reinstated", "dispute", Subject.DISPUTE),
        ("radar.early_fraud_warning.created", "radar.early_fraud_warning", Subject.WARNING),
        ("issuing_dispute.created", "issuing.dispute", Subject.OTHER),
    ],
)
def test_only_a_dispute_is_read_as_one(kind: str, object_: str, subject: Subject) -> None:
    """An early fraud warning moves no money, and may never become a dispute."""
    held = {"id": "dp_1", "object": object_, "payment_intent": "pi_1"}
    event = {"id": "evt_1", "object": "event", "type": kind, "created": OPENED, "data": {"object": held}}
    body, secret = json.dumps(event), "whsec_1"
    signature = WebhookSignature.generate_signature_header(body, secret, int(time.time()))
    found = events.parse(secret, signature, body.encode())
    assert (found.subject, found.processor_object_id, found.processor_payment_id) == (subject, "dp_1", "pi_1")
