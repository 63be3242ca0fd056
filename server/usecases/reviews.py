"""The review queue: what waits, who works on it, what they note. Called by `rpc`; `decide_review` ends reviews."""

from datetime import datetime
from uuid import UUID

from server.domain.review import not_found
from server.domain.review_case import ReviewCase
from server.storage.engine import Reads
from server.storage.review_desk import add_note, claim_review, release_review
from server.storage.review_reads import ReviewFilter, ReviewPosition, get_case, list_cases
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Page
from server.usecases.page_tokens import PageTokens


class ReviewDesk:
    """Reads and claims reviews. `merchant_id` is None for the platform, which sees those of all merchants."""

    def __init__(self, reads: Reads, transactions: ShortTransactions, tokens: PageTokens) -> None:
        self._reads, self._transactions, self._tokens = reads, transactions, tokens

    async def list(self, wanted: ReviewFilter, page_size: int, page_token: str) -> Page[ReviewCase]:
        """Returns at most `page_size` reviews, open ones first by deadline; without their notes.

        Raises:
            KassaError: PAGE_TOKEN_INVALID.
        """
        scope = f"reviews:{sorted(wanted.set_fields().items())}"
        after = _read_position(self._tokens.read(scope, page_token)) if page_token else None
        # One more than asked for tells whether another page follows.
        found = await self._reads.run(list_cases, wanted, after, page_size + 1)
        items = tuple(found[:page_size])
        if len(found) <= page_size:
            return Page(items, "")
        return Page(items, self._tokens.issue(scope, _write_position(ReviewPosition.of(items[-1].review))))

    async def get(self, merchant_id: UUID | None, payment_id: UUID) -> ReviewCase:
        """Returns a review with its notes.

        Raises:
            KassaError: REVIEW_NOT_FOUND, also for somebody else's. So it is below.
        """
        return await find_case(self._reads, merchant_id, payment_id)

    async def claim(self, merchant_id: UUID | None, payment_id: UUID, analyst: str) -> ReviewCase:
        """Gives an open review to an analyst for a while, or prolongs the claim.

        Raises:
            KassaError: REVIEW_NOT_FOUND, REVIEW_CLOSED, REVIEW_CLAIMED.
        """
        await self._transactions.run(claim_review, merchant_id, payment_id, analyst)
        return await self.get(merchant_id, payment_id)

    async def release(self, merchant_id: UUID | None, payment_id: UUID, analyst: str) -> ReviewCase:
        """Ends the analyst's claim.

        Raises:
            KassaError: REVIEW_NOT_FOUND, REVIEW_CLAIMED.
        """
        await self._transactions.run(release_review, merchant_id, payment_id, analyst)
        return await self.get(merchant_id, payment_id)

    async def add_note(self, merchant_id: UUID | None, payment_id: UUID, author: str, text: str) -> ReviewCase:
        """Writes down what an analyst found; the same words of the same author are kept once.

        Raises:
            KassaError: REVIEW_NOT_FOUND.
        """
        await self._transactions.run(add_note, merchant_id, payment_id, author, text)
        return await self.get(merchant_id, payment_id)


async def find_case(reads: Reads, merchant_id: UUID | None, payment_id: UUID) -> ReviewCase:
    """Reads a merchant's review; anybody's, where None is given.

    Raises:
        KassaError: REVIEW_NOT_FOUND, also for somebody else's.
    """
    case = await reads.run(get_case, merchant_id, payment_id)
    if case is None:
        raise not_found()
    return case


def _write_position(position: ReviewPosition) -> str:
    return f"{'' if position.deadline is None else position.deadline.isoformat()} {position.payment_id}"


def _read_position(text: str) -> ReviewPosition:
    deadline, _, payment = text.rpartition(" ")
    return ReviewPosition(datetime.fromisoformat(deadline) if deadline else None, UUID(payment))
