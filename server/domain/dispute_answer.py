"""A merchant's answer to a dispute: whether it may be given, and how the dispute's transaction carries it.

Opening an answer writes it into the transaction before anything is sent, so recovery can send it again after a crash.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from server.domain.dispute import Dispute, DisputeState, Evidence
from server.domain.errors import KassaError, Reason
from server.domain.payment import Transaction, TransactionState

_ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class PendingAnswer:
    """An answer that is to reach the processor.

    Attributes:
        id: The processor's idempotency key: one for each answer, the same for each repeat of it.
        evidence: None accepts the dispute.
        given_at: When the merchant gave it, UTC.
    """

    id: str
    evidence: Evidence | None
    given_at: datetime


def check_answer(dispute: Dispute, transaction: Transaction, evidence: Evidence | None, now: datetime) -> None:
    """Decides whether an answer may be given now.

    Raises:
        KassaError: DISPUTE_STATE_INVALID, DISPUTE_DEADLINE_PASSED, OPERATION_IN_PROGRESS.
    """
    if dispute.state is not DisputeState.NEEDS_RESPONSE:
        raise _state_invalid(
            dispute, f"The dispute is {dispute.state.value}; one that is NEEDS_RESPONSE takes an answer."
        )
    if dispute.respond_by is not None and dispute.respond_by <= now:
        last = dispute.respond_by.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        raise KassaError(
            Reason.DISPUTE_DEADLINE_PASSED,
            f"The dispute had to be answered by {last}; the processor decides it without an answer.",
            metadata={"respond_by": last},
        )
    if dispute.inquiry and evidence is None:
        raise _state_invalid(dispute, "An inquiry cannot be accepted: refund the payment, or submit evidence.")
    if pending_answer(transaction) is not None:
        raise KassaError(
            Reason.OPERATION_IN_PROGRESS,
            "Another answer to this dispute is under way. Read the dispute, then try again.",
            metadata={"dispute_state": dispute.state.value},
        )


def _state_invalid(dispute: Dispute, message: str) -> KassaError:
    return KassaError(Reason.DISPUTE_STATE_INVALID, message, metadata={"dispute_state": dispute.state.value})


def with_answer(transaction: Transaction, key: str, answer: PendingAnswer) -> Transaction:
    """Puts an answer into a dispute's transaction; `key` is the merchant's, whose call ends with the answer."""
    evidence = None if answer.evidence is None else write_evidence(answer.evidence)
    told = {"id": answer.id, "evidence": evidence, "given_at": answer.given_at.isoformat()}
    return replace(
        transaction,
        state=TransactionState.PENDING,
        waiting=False,
        attempts=0,
        idempotency_keys=(key,),
        detail={**transaction.detail, _ANSWER: told},
    )


def without_answer(transaction: Transaction) -> Transaction:
    """Takes the answer out again: the processor has it, or refused it."""
    rest = {name: value for name, value in transaction.detail.items() if name != _ANSWER}
    return replace(transaction, idempotency_keys=(), detail=rest)


def pending_answer(transaction: Transaction) -> PendingAnswer | None:
    """Reads the answer that a dispute's transaction carries, if any."""
    told = transaction.detail.get(_ANSWER)
    if told is None:
        return None
    evidence = None if told["evidence"] is None else read_evidence(told["evidence"])
    return PendingAnswer(told["id"], evidence, datetime.fromisoformat(told["given_at"]))


def write_evidence(evidence: Evidence) -> dict[str, str]:
    """Writes what evidence says, as strings; days as in ISO 8601."""
    return {name: str(value) for name, value in asdict(evidence).items() if value}


def read_evidence(told: Mapping[str, Any]) -> Evidence:
    """Reads evidence back."""
    days = {name: date.fromisoformat(told[name]) for name in ("service_date", "shipping_date") if name in told}
    return Evidence(**{**told, **days})
