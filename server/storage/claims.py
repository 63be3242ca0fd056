"""Claims of idempotency keys: the first statement of every write that a merchant asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from server.domain.errors import KassaError, Reason
from server.storage.engine import dumps
from server.storage.group_commit import POSTPONED, Postponed
from server.storage.prepared import Writes, prepared, read

CLAIM_COLUMNS = "merchant_id, key, attempt_id, request_hash, payment_id, transaction_id, created_at"

# Sorted by the caller: two batches that claim k1, k2 and k2, k1 would deadlock.
_CLAIM = prepared(f"""
    INSERT INTO idempotency_keys ({CLAIM_COLUMNS})
    SELECT merchant_id, key, attempt_id, request_hash, payment_id, transaction_id, now()
    FROM jsonb_populate_recordset(NULL::idempotency_keys, CAST(:rows AS jsonb))
    ON CONFLICT DO NOTHING RETURNING attempt_id
""")
_READ = prepared("""
    SELECT q.attempt_id AS loser, k.request_hash = q.request_hash AS same, k.payment_id, k.transaction_id, k.answer
    FROM jsonb_populate_recordset(NULL::idempotency_keys, CAST(:rows AS jsonb)) AS q
    JOIN idempotency_keys k ON k.merchant_id = q.merchant_id AND k.key = q.key
""")
# Few keys have no answer: a plain `answer IS NULL` has the planner look for those first, among all keys that there are.
_ANSWER = prepared("""
    UPDATE idempotency_keys k SET answer = q.answer, answered_at = now()
    FROM jsonb_populate_recordset(NULL::idempotency_keys, CAST(:rows AS jsonb)) AS q
    WHERE k.merchant_id = q.merchant_id AND k.key = q.key AND k.transaction_id = q.transaction_id
          AND CASE WHEN k.answer IS NULL THEN true ELSE false END
""")
_RELEASE = prepared("""
    DELETE FROM idempotency_keys k
    USING jsonb_populate_recordset(NULL::idempotency_keys, CAST(:rows AS jsonb)) AS q
    WHERE k.merchant_id = q.merchant_id AND k.key = q.key AND k.transaction_id = q.transaction_id
          AND CASE WHEN k.answer IS NULL THEN true ELSE false END
""")

Hold = tuple[UUID, str, UUID]
"""A key as one call holds it: merchant, key, and the transaction that ends the call.

A key that was forgotten may belong to another call by now, which is not to get the first one's answer.
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A call's claim of its key.

    Attributes:
        attempt_id: New for every attempt; the winner is told by it, since two equal keys may share a batch.
        request_hash: Keyed hash of the request, without card data.
        payment_id: What the call is about; a repeat reads it from here.
        transaction_id: The transaction that ends the call.
        request_id: Of the call; kept with its transaction, since claims are forgotten.
    """

    merchant_id: UUID
    key: str
    attempt_id: UUID
    request_hash: bytes
    payment_id: UUID
    transaction_id: UUID
    request_id: str = ""

    @property
    def hold(self) -> Hold:
        """What its answer, or its release, is addressed to."""
        return self.merchant_id, self.key, self.transaction_id

    def row(self) -> dict[str, Any]:
        """The claim as a row of its table."""
        return {
            "merchant_id": self.merchant_id,
            "key": self.key,
            "attempt_id": self.attempt_id,
            "request_hash": "\\x" + self.request_hash.hex(),
            "payment_id": self.payment_id,
            "transaction_id": self.transaction_id,
        }


@dataclass(frozen=True, slots=True)
class Replay:
    """An earlier call made the same claim; `answer` is None while that one is under way."""

    payment_id: UUID
    transaction_id: UUID
    answer: Mapping[str, Any] | None


Lost = Replay | KassaError | Postponed


def claim_keys(connection: Connection, claims: Sequence[Claim]) -> dict[UUID, Lost]:
    """Claims keys, and returns by attempt id what the losers get; whoever is missing has won."""
    if not claims:
        return {}
    rows = dumps([claim.row() for claim in sorted(claims, key=lambda claim: (claim.merchant_id, claim.key))])
    won = {attempt_id for (attempt_id,) in read(connection, _CLAIM, {"rows": rows}).rows}
    losers = [claim for claim in claims if claim.attempt_id not in won]
    if not losers:
        return {}
    # A claim that was released since it beat ours is not found: the loser simply tries again.
    lost: dict[UUID, Lost] = {claim.attempt_id: POSTPONED for claim in losers}
    for row in read(connection, _READ, {"rows": dumps([claim.row() for claim in losers])}).mappings():
        lost[row["loser"]] = (
            Replay(row["payment_id"], row["transaction_id"], row["answer"]) if row["same"] else _reused()
        )
    return lost


def _reused() -> KassaError:
    return KassaError(
        Reason.IDEMPOTENCY_KEY_REUSED,
        "This idempotency key belongs to a different request. Use a new key for a new request.",
        field="idempotency-key",
    )


def store_answers(writes: Writes, answers: Sequence[tuple[Hold, Mapping[str, Any]]]) -> None:
    """Makes answers final. An answer that stands is never replaced."""
    rows = [_held(hold) | {"answer": answer} for hold, answer in answers]
    if rows:
        writes.execute(_ANSWER, {"rows": dumps(rows)})


def release_keys(writes: Writes, holds: Sequence[Hold]) -> None:
    """Frees keys whose calls did nothing, so that the same call may be made again."""
    if holds:
        writes.execute(_RELEASE, {"rows": dumps([_held(hold) for hold in holds])})


def _held(hold: Hold) -> dict[str, Any]:
    return dict(zip(("merchant_id", "key", "transaction_id"), hold, strict=True))
