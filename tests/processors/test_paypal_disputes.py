"""What PayPal's disputes and fees mean, and how answers go over the wire, where no sandbox can tell."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from server.domain.dispute import DisputeReason, DisputeState
from server.domain.fee import Fee
from server.domain.outcome import Approved
from server.processors.contract import DisputeAnswer, Evidence, OutcomeUnknown, ProcessorRejected, Subject
from server.processors.paypal import PayPalEndpoint, PayPalProcessor, events, payments
from server.processors.paypal.books import _totals
from server.processors.paypal.evidence import evidences
from server.processors.paypal.standing import OUTCOMES, REASONS, STATES, standing
from tests.processors.accounts import PayPalAccount
from tests.processors.doubles import answering
from tests.processors.opened import opened
from tests.processors.sandbox_process import Json, Sandbox

SPEC = json.loads((Path(__file__).parents[1] / "specs/paypal/customer_disputes_v1.json").read_text())
SCHEMAS = SPEC["components"]["schemas"]
TIME = "2026-03-29T17:42:21.219Z"


def usd(value: str, currency: str = "USD") -> Json:
    return {"currency_code": currency, "value": value}


def movement(value: str, kind: str = "DEBIT", reason: str = "DISPUTE_SETTLEMENT", **changes: Any) -> Json:
    facts = {"affected_party": "SELLER", "type": kind, "reason": reason, "initiated_time": TIME}
    return facts | {"amount": usd(value)} | changes


def dispute(*movements: Json, outcome: str = "", **changes: Any) -> Json:
    facts = {
        "dispute_id": "PP-R-GSS-10059837",
        "create_time": "2026-03-27T09:06:12.409Z",
        "disputed_transactions": [{"seller_transaction_id": "47987518DF175504N"}],
        "reason": "UNAUTHORISED",
        "status": "RESOLVED" if outcome else "WAITING_FOR_SELLER_RESPONSE",
        "dispute_amount": usd("10.00"),
        "dispute_life_cycle_stage": "CHARGEBACK",
        "seller_response_due_date": "2026-04-06T09:06:12.409Z",
    }
    facts |= {"money_movements": list(movements)} if movements else {}
    facts |= {"dispute_outcome": {"outcome_code": outcome}} if outcome else {}
    return facts | changes


def test_every_word_of_paypals_description_is_known() -> None:
    statuses = set(SCHEMAS["status"]["enum"])
    assert set(STATES) == statuses - {"RESOLVED", "OTHER"}
    assert set(OUTCOMES) == set(SCHEMAS["dispute_outcome"]["properties"]["outcome_code"]["enum"])
    assert set(REASONS) == set(SCHEMAS["dispute_reason"]["enum"])


@pytest.mark.parametrize(("status", "state"), STATES.items())
def test_statuses_hold_the_money(status: str, state: DisputeState) -> None:
    stands = standing(dispute(status=status))
    assert (stands.state, stands.withdrawn, stands.held) == (state, 0, 1000)
    due = datetime(2026, 4, 6, 9, 6, 12, 409_000, UTC)
    assert stands.respond_by == (due if state is DisputeState.NEEDS_RESPONSE else None)


@pytest.mark.parametrize(("outcome", "state"), OUTCOMES.items())
def test_outcomes_let_go_of_the_money(outcome: str, state: DisputeState) -> None:
    stands = standing(dispute(outcome=outcome))
    assert (stands.state, stands.held, stands.respond_by) == (state, 0, None)
    assert stands.withdrawn == (1000 if state is DisputeState.LOST else 0)


def test_unknown_words_are_seen(caplog: pytest.LogCaptureFixture) -> None:
    assert standing(dispute(status="OTHER")).state is DisputeState.UNDER_REVIEW
    assert standing(dispute(outcome="SHRUGGED")).state is DisputeState.CLOSED
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 2
    assert standing(dispute(reason="BORED")).reason is DisputeReason.GENERAL
    several = [{"seller_transaction_id": "A1"}, {"seller_transaction_id": "B2"}]
    assert standing(dispute(disputed_transactions=several)).processor_payment_id == "A1"
    assert caplog.records[-1].levelname == "ERROR"


@pytest.mark.parametrize(
    ("movements", "changes", "withdrawn"),
    [
        ([movement("10.00")], {}, 1000),
        ([movement("10.00"), movement("10.00", affected_party="BUYER", type="CREDIT")], {}, 1000),
        ([movement("10.00"), movement("4.00", "CREDIT")], {}, 600),
        ([movement("10.00"), movement("10.00", "CREDIT")], {}, 0),
        ([movement("15.00", reason="DISPUTE_FEE")], {}, 1000),
        ([movement("9.20", amount=usd("9.20", "EUR"))], {}, 1000),
        ([movement("9.20", amount=usd("9.20", "EUR")), movement("9.10", "CREDIT", amount=usd("9.10", "EUR"))], {}, 0),
        ([], {"dispute_outcome": {"outcome_code": "ACCEPTED", "amount_refunded": usd("7.00")}}, 700),
    ],
)
def test_what_is_withdrawn(movements: list[Json], changes: Json, withdrawn: int) -> None:
    assert standing(dispute(*movements, outcome="RESOLVED_BUYER_FAVOUR", **changes)).withdrawn == withdrawn


def test_an_early_settlement_is_no_longer_held() -> None:
    stands = standing(dispute(movement("4.00")))
    assert (stands.withdrawn, stands.held) == (400, 600)


def test_each_fee_has_a_reference_of_its_own() -> None:
    charged = [
        movement("15.00", reason="DISPUTE_FEE"),
        movement("15.00", reason="DISPUTE_FEE"),
        movement("20.00", reason="CHARGEBACK_FEE"),
        movement("20.00", "CREDIT", reason="CHARGEBACK_FEE"),
        movement("8.00", reason="DISPUTE_FEE", affected_party="BUYER"),
        movement("10.00"),
    ]
    fees = standing(dispute(*charged, outcome="RESOLVED_BUYER_FAVOUR")).fees
    assert [fee.amount for fee in fees] == [1500, 1500, 2000, -2000]
    assert len({fee.reference for fee in fees}) == 4
    assert standing(dispute(*charged, outcome="RESOLVED_BUYER_FAVOUR")).fees == fees


def test_evidence_is_a_tracking_number_and_text() -> None:
    day = date(2026, 5, 1)
    told = evidences(
        Evidence(
            explanation="Signed for.",
            product_description="Two cups",
            service_date=day,
            shipping_carrier="Royal Mail",
            shipping_tracking_number="JD01460",
            shipping_date=day,
            refund_policy="30 days",
            access_activity_log="192.0.2.1 10:00",
        )
    )["evidences"]
    tracking = {"carrier_name": "ROYAL_MAIL", "tracking_number": "JD01460"}
    assert told[0] == {
        "evidence_type": "PROOF_OF_FULFILLMENT",
        "evidence_info": {"tracking_info": [tracking]},
    }
    assert told[1]["notes"].split("\n\n") == [
        "Signed for.",
        "Product: Two cups",
        "Date of service: 2026-05-01",
        "Shipped by: Royal Mail",
        "Shipped on: 2026-05-01",
        "Refund policy: 30 days",
        "Access log: 192.0.2.1 10:00",
    ]


@pytest.mark.parametrize(("carrier", "other"), [("Brieftaube", "Brieftaube"), ("", "not named")])
def test_any_carrier_is_told(carrier: str, other: str) -> None:
    told = evidences(Evidence(shipping_carrier=carrier, shipping_tracking_number="1"))["evidences"][0]
    (tracking,) = told["evidence_info"]["tracking_info"]
    assert (tracking["carrier_name"], tracking["carrier_name_other"]) == ("OTHER", other)


def test_nothing_of_a_long_text_is_lost() -> None:
    text = "".join(f"{number:>8}" for number in range(600))
    told = evidences(Evidence(explanation=text))["evidences"]
    assert [len(one["notes"]) for one in told] == [2000, 2000, 800]
    assert "".join(one["notes"] for one in told) == text


def test_fees_are_told_in_the_currency_that_is_settled(caplog: pytest.LogCaptureFixture) -> None:
    capture: Json = {"id": "C1", "status": "COMPLETED", "amount": usd("19.99")}
    breakdown = {"paypal_fee": usd("1.19")}

    def fee(**told: Json) -> Fee | None:
        outcome = payments.capture(capture | {"seller_receivable_breakdown": breakdown | told}, "O1")
        assert isinstance(outcome, Approved)
        return outcome.fee

    assert fee() == Fee(119, "USD", "C1")
    assert fee(paypal_fee_in_receivable_currency=usd("1.02", "EUR")) == Fee(102, "EUR", "C1")
    assert not caplog.records
    assert fee(paypal_fee=usd("1.999")) is None
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_only_what_is_done_is_added_up() -> None:
    def rows(*statuses: str) -> list[Json]:
        return [{"status": status, "amount": usd(f"{2**index}.00")} for index, status in enumerate(statuses)]

    captures = rows("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED", "PENDING", "DECLINED", "FAILED")
    refunds = rows("COMPLETED", "PENDING", "CANCELLED", "FAILED")
    unit = {"amount": usd("99.00"), "payments": {"captures": captures, "refunds": refunds}}
    totals = _totals({"purchase_units": [unit]})
    assert (totals.captured, totals.refunded) == (700, 100)


@pytest.mark.parametrize(
    ("kind", "subject", "payment"),
    [
        ("CUSTOMER.DISPUTE.CREATED", Subject.DISPUTE, "47987518DF175504N"),
        ("CUSTOMER.DISPUTE.UPDATED", Subject.DISPUTE, "47987518DF175504N"),
        ("CUSTOMER.DISPUTE.RESOLVED", Subject.DISPUTE, "47987518DF175504N"),
        ("PAYMENT.CAPTURE.REVERSED", Subject.OTHER, ""),
    ],
)
def test_events_name_the_dispute_and_its_capture(kind: str, subject: Subject, payment: str) -> None:
    event = {"id": "WH-1", "event_type": kind, "create_time": TIME, "resource": dispute()}
    found = events.parse(json.dumps(event).encode())
    assert (found.subject, found.processor_payment_id) == (subject, payment)
    assert found.processor_object_id == "PP-R-GSS-10059837"


def an_answer(evidence: Evidence | None) -> DisputeAnswer:
    return DisputeAnswer(key="a-1", processor_dispute_id="PP-R-GSS-10059837", evidence=evidence)


async def test_evidence_goes_as_a_form_and_acceptance_as_json(sandbox: Sandbox) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/oauth2/token":
            return web.json_response({"access_token": "t", "expires_in": 900})
        return web.json_response(dispute(status="UNDER_REVIEW") if request.method == "GET" else {"links": []})

    account = PayPalAccount(sandbox).account
    async with answering(handle) as server, opened(PayPalProcessor(PayPalEndpoint(server.url))) as adapter:
        for evidence in (Evidence(explanation="Signed for."), None):
            await adapter.answer_dispute(account, an_answer(evidence))
    form, accepted = (
        (headers, body) for method, path, headers, body in server.requests if "PP-R" in path and method == "POST"
    )
    assert form[0]["Content-Type"].startswith("multipart/form-data; boundary=")
    assert re.search(r'form-data; name="input"\r\nContent-Type: application/json\r\n\r\n\{', form[1])
    assert json.loads(form[1][form[1].index("{") : form[1].rindex("}") + 1]) == {
        "evidences": [{"evidence_type": "OTHER", "notes": "Signed for."}]
    }
    assert accepted[0]["Content-Type"] == "application/json"
    assert json.loads(accepted[1])["accept_claim_type"] == "REFUND"
    assert {headers["PayPal-Request-Id"] for headers, _ in (form, accepted)} == {"a-1"}


async def test_evidence_for_an_inquiry_is_refused_and_told(sandbox: Sandbox) -> None:
    """PayPal takes evidence once a claim was made of it; until then its seller can only give in."""
    at = PayPalAccount(sandbox)
    async with answering(_inquiry) as server, opened(PayPalProcessor(PayPalEndpoint(server.url))) as adapter:
        with pytest.raises(ProcessorRejected, match="INVALID_DISPUTE_STATUS"):
            await adapter.answer_dispute(at.account, an_answer(Evidence(explanation="Signed for.")))


async def _inquiry(request: web.Request) -> web.StreamResponse:
    if request.path == "/v1/oauth2/token":
        return web.json_response({"access_token": "t", "expires_in": 900})
    if request.method == "GET":
        return web.json_response(dispute(status="OPEN", dispute_life_cycle_stage="INQUIRY"))
    return web.json_response({"name": "U", "details": [{"issue": "INVALID_DISPUTE_STATUS"}]}, status=422)


@pytest.mark.parametrize("changes", [{"dispute_amount": None}, {"create_time": 7}, {"disputed_transactions": []}])
async def test_a_dispute_that_cannot_be_understood_is_unknown(sandbox: Sandbox, changes: Json) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        token = {"access_token": "t", "expires_in": 900}
        return web.json_response(token if request.path == "/v1/oauth2/token" else dispute(**changes))

    account = PayPalAccount(sandbox).account
    async with answering(handle) as server, opened(PayPalProcessor(PayPalEndpoint(server.url))) as adapter:
        with pytest.raises(OutcomeUnknown):
            await adapter.read_dispute(account, "PP-R-GSS-10059837")
