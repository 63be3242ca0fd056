"""Reviews as deeds: a payment is held, an analyst decides it, or nobody does in time."""

from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import ParseDict
from kassa.v1 import fraud_service_pb2 as pb

from tests.acceptance.crash_deeds import Deed, World
from tests.acceptance.crash_sweeps import DONE, OPEN
from tests.acceptance.shop import Json
from tests.acceptance.stacks import payment_uuid
from tests.acceptance.victims import Job, decide_review

HELD = {"currency": "KZT"}
"""The rules have no rate of it, so that they leave the payment to people."""
_OVERDUE = "a review that is overdue"
_STAGE = f"""
    SELECT CASE WHEN r.state <> 'OPEN' THEN '{DONE}'
                WHEN EXISTS (SELECT FROM transactions t WHERE t.payment_id = r.payment_id AND t.type = 'VOID'
                             AND t.state IN ('PENDING', 'UNKNOWN')) THEN '{OPEN}' ELSE '{_OVERDUE}' END
    FROM reviews r WHERE r.payment_id = %s::uuid"""


def decision(rpc: str, **changes: Any) -> Callable[[World], Deed]:
    """An analyst's word on a payment."""
    request = {"ApproveReview": pb.ApproveReviewRequest, "RejectReview": pb.RejectReviewRequest}[rpc]

    def prepare(world: World) -> Deed:
        payment = _held(world, **changes)
        return Deed(rpc, ParseDict({"payment_id": payment["id"], "analyst": "Ada"}, request()), payment["id"])

    return prepare


def overdue(world: World) -> Deed:
    """A review that nobody has decided in time."""
    payment = _held(world)
    over = """UPDATE reviews SET deadline = now() - interval '1 second', next_attempt_at = 'infinity'
              WHERE payment_id = %s::uuid"""
    world.platform.execute(over, str(payment_uuid(payment["id"])))
    heals = {_OVERDUE: "the next sweep of reviews", OPEN: "recovery"}
    return Deed("", None, payment["id"], Job(decide_review), "reviews", _STAGE, heals)


def _held(world: World, **changes: Any) -> Json:
    payment = world.shop.paid(**HELD, **changes)
    assert payment["state"] == "IN_REVIEW", payment
    return payment
