"""Who works on which review, and what they note: no money, so short transactions do. Called by `usecases.reviews`."""

from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.ids import new_id
from server.domain.review import CLAIM_LASTS, Review, check_claim, check_open, not_found
from server.storage.reviews import read_review

# The row's lock makes two analysts who claim at once come one after the other.
_LOCK = text("""
    SELECT to_jsonb(r) AS review, now() AS now FROM reviews r
    WHERE r.payment_id = :payment_id AND (CAST(:merchant_id AS uuid) IS NULL OR r.merchant_id = :merchant_id)
    FOR NO KEY UPDATE
""")
_CLAIM = text("""
    UPDATE reviews SET claimed_by = :analyst, claimed_until = now() + :lasts
    WHERE merchant_id = :merchant_id AND payment_id = :payment_id
""")
_RELEASE = text("""
    UPDATE reviews SET claimed_by = '', claimed_until = NULL
    WHERE merchant_id = :merchant_id AND payment_id = :payment_id
""")
_NOTE = text("""
    INSERT INTO review_notes (merchant_id, payment_id, id, author, text)
    SELECT :merchant_id, :payment_id, :id, :author, :text
    WHERE NOT EXISTS (SELECT FROM review_notes WHERE merchant_id = :merchant_id AND payment_id = :payment_id
                      AND author = :author AND text = :text)
""")


def claim_review(connection: Connection, merchant_id: UUID | None, payment_id: UUID, analyst: str) -> None:
    """Claims an open review, or prolongs the analyst's own claim.

    Args:
        merchant_id: Whose it must be; None for the platform, which sees all. So in all that is below.

    Raises:
        KassaError: REVIEW_NOT_FOUND, REVIEW_CLOSED, REVIEW_CLAIMED.
    """
    key = _lock(connection, merchant_id, payment_id, analyst, open_ones_only=True)
    connection.execute(_CLAIM, key | {"analyst": analyst, "lasts": CLAIM_LASTS})


def release_review(connection: Connection, merchant_id: UUID | None, payment_id: UUID, analyst: str) -> None:
    """Ends the analyst's claim, where there is one.

    Raises:
        KassaError: REVIEW_NOT_FOUND, REVIEW_CLAIMED: it is another's.
    """
    connection.execute(_RELEASE, _lock(connection, merchant_id, payment_id, analyst))


def add_note(connection: Connection, merchant_id: UUID | None, payment_id: UUID, author: str, words: str) -> None:
    """Writes down what an analyst found; the same words of the same author are kept once.

    Raises:
        KassaError: REVIEW_NOT_FOUND.
    """
    review = _find(connection, merchant_id, payment_id)
    values = {"merchant_id": review.merchant_id, "payment_id": payment_id, "id": new_id()}
    connection.execute(_NOTE, values | {"author": author, "text": words})


def _lock(
    connection: Connection, merchant_id: UUID | None, payment_id: UUID, analyst: str, *, open_ones_only: bool = False
) -> dict[str, object]:
    values = {"merchant_id": merchant_id, "payment_id": payment_id}
    row = connection.execute(_LOCK, values).mappings().first()
    if row is None:
        raise not_found()
    review = read_review(row["review"])
    if open_ones_only:
        check_open(review)
    check_claim(review, analyst, row["now"])
    return {"merchant_id": review.merchant_id, "payment_id": payment_id}


def _find(connection: Connection, merchant_id: UUID | None, payment_id: UUID) -> Review:
    row = connection.execute(_LOCK, {"merchant_id": merchant_id, "payment_id": payment_id}).mappings().first()
    if row is None:
        raise not_found()
    return read_review(row["review"])
