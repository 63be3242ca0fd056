"""The analysts' desk: one works on a review at a time, notes are kept once, and the queue comes in its order."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from server.domain.errors import KassaError, Reason
from server.domain.expiry import Lifetimes
from server.domain.payment import Payment, TransactionType
from server.domain.review import CLAIM_LASTS, ReviewState, ReviewTerms
from server.domain.review_case import ReviewCase
from server.storage.review_reads import ReviewFilter
from server.storage.short_transactions import ShortTransactions
from server.usecases.page_tokens import PageTokens
from server.usecases.reviews import ReviewDesk
from tests.factories import approved
from tests.refusals import again_while
from tests.storage.conftest import Till
from tests.storage.test_reviews import HOUR, held, settle


@pytest.fixture
def desk(till: Till) -> Iterator[ReviewDesk]:
    with ThreadPoolExecutor(2) as threads:
        yield ReviewDesk(till.store._reads, ShortTransactions(till.engine, threads), PageTokens(b"t" * 32))


async def refused(till: Till, call: object) -> KassaError:
    with pytest.raises(KassaError) as caught:
        await call  # type: ignore[misc]
    return caught.value


async def closed(till: Till) -> Payment:
    payment = await held(till)
    capture = (await till.begin(payment, TransactionType.CAPTURE)).transaction
    return await settle(till, capture, approved(capture))


async def test_a_claim_keeps_others_out_until_it_is_released(till: Till, desk: ReviewDesk) -> None:
    payment = await held(till)
    claimed = (await desk.claim(till.merchant, payment.id, "Ada")).review
    assert claimed.claimed_by == "Ada" and claimed.claimed_until is not None
    for theft in (desk.claim, desk.release):
        error = await refused(till, theft(till.merchant, payment.id, "Grace"))
        assert (error.reason, error.metadata["claimed_by"]) == (Reason.REVIEW_CLAIMED, "Ada")
        assert error.metadata["claimed_until"] == claimed.claimed_until.isoformat()
    assert (await desk.release(till.merchant, payment.id, "Ada")).review.claimed_by == ""
    assert (await desk.release(till.merchant, payment.id, "Grace")).review.claimed_by == ""
    assert (await desk.claim(till.merchant, payment.id, "Grace")).review.claimed_by == "Grace"


async def test_a_claim_lapses_and_its_holder_may_prolong_it(till: Till, desk: ReviewDesk) -> None:
    payment = await held(till)
    first = (await desk.claim(till.merchant, payment.id, "Ada")).review
    again = (await desk.claim(till.merchant, payment.id, "Ada")).review
    assert first.claimed_until is not None and again.claimed_until is not None
    assert again.claimed_until > first.claimed_until
    with till.engine.begin() as connection:
        later = "UPDATE reviews SET claimed_until = claimed_until - :lasts WHERE payment_id = :payment"
        connection.execute(text(later), {"lasts": CLAIM_LASTS, "payment": payment.id})
    assert (await desk.claim(till.merchant, payment.id, "Grace")).review.claimed_by == "Grace"


async def test_of_two_who_claim_at_once_one_has_it(till: Till, desk: ReviewDesk) -> None:
    payment = await held(till)

    async def claim(name: str) -> ReviewCase:
        """Also where the other stands still with its lock."""
        return await again_while(Reason.SERVICE_UNAVAILABLE, lambda: desk.claim(till.merchant, payment.id, name))

    results = await asyncio.gather(claim("Ada"), claim("Grace"), return_exceptions=True)
    winners = [one.review.claimed_by for one in results if isinstance(one, ReviewCase)]
    losers = [one.metadata["claimed_by"] for one in results if isinstance(one, KassaError)]
    assert len(winners) == 1 and losers == winners


async def test_a_review_that_is_over_cannot_be_claimed_and_takes_notes(till: Till, desk: ReviewDesk) -> None:
    payment = await closed(till)
    error = await refused(till, desk.claim(till.merchant, payment.id, "Ada"))
    assert (error.reason, error.metadata["review_state"]) == (Reason.REVIEW_CLOSED, "APPROVED")
    case = await desk.add_note(till.merchant, payment.id, "Ada", "It was a good customer.")
    assert [(note.author, note.text) for note in case.notes] == [("Ada", "It was a good customer.")]


async def test_notes_come_in_order_and_a_repeated_one_is_kept_once(till: Till, desk: ReviewDesk) -> None:
    payment = await held(till)
    for author, words in (("Ada", "Calls back."), ("Grace", "Calls back."), ("Ada", "Calls back."), ("Ada", "Paid.")):
        case = await desk.add_note(till.merchant, payment.id, author, words)
    assert [(note.author, note.text) for note in case.notes] == [
        ("Ada", "Calls back."),
        ("Grace", "Calls back."),
        ("Ada", "Paid."),
    ]


async def test_somebody_elses_review_is_not_found_and_the_platform_sees_all(till: Till, desk: ReviewDesk) -> None:
    payment = await held(till)
    calls = (
        desk.get(uuid4(), payment.id),
        desk.claim(uuid4(), payment.id, "Eve"),
        desk.release(uuid4(), payment.id, "Eve"),
        desk.add_note(uuid4(), payment.id, "Eve", "Mine."),
    )
    assert [(await refused(till, call)).reason for call in calls] == [Reason.REVIEW_NOT_FOUND] * 4
    assert (await desk.get(None, payment.id)).payment.merchant_id == till.merchant
    assert (await desk.claim(None, payment.id, "Ada")).review.claimed_by == "Ada"


async def test_a_case_shows_the_payment_and_what_the_rules_saw(till: Till, desk: ReviewDesk) -> None:
    payment = await held(till)
    case = await desk.get(till.merchant, payment.id)
    assert case.payment.id == payment.id
    assert case.decided.decision.rules == ("many_cards",)
    assert case.decided.decision.facts == {"amount": 1999, "ip": "1.2.3.4"}


async def test_the_queue_begins_with_what_is_due_first_and_ends_with_what_is_over(till: Till, desk: ReviewDesk) -> None:
    old, new = await closed(till), await closed(till)
    hours = {h: await held(till, Lifetimes(hold=100 * HOUR, review=ReviewTerms(h * HOUR))) for h in (3, 1, 2)}
    wanted, found, token = ReviewFilter(till.merchant), list[UUID](), ""
    while True:
        page = await desk.list(wanted, 2, token)
        found += [case.payment.id for case in page.items]
        if not page.next_page_token:
            break
        token = page.next_page_token
    assert found == [hours[1].id, hours[2].id, hours[3].id, new.id, old.id]


async def test_filters_narrow_the_queue(till: Till, desk: ReviewDesk) -> None:
    over = await closed(till)
    first, second = await held(till), await held(till)
    await desk.claim(till.merchant, second.id, "Ada")

    async def ids(**wanted: object) -> list[UUID]:
        page = await desk.list(ReviewFilter(till.merchant, **wanted), 10, "")  # type: ignore[arg-type]
        return [case.payment.id for case in page.items]

    assert await ids(state=ReviewState.OPEN) == [first.id, second.id]
    assert await ids(state=ReviewState.APPROVED) == [over.id]
    assert await ids(state=ReviewState.REJECTED) == []
    assert await ids(claimed_by="Ada") == [second.id]
    with till.engine.begin() as connection:
        lapsed = "UPDATE reviews SET claimed_until = now() - :second WHERE payment_id = :payment"
        connection.execute(text(lapsed), {"second": timedelta(seconds=1), "payment": second.id})
    assert await ids(claimed_by="Ada") == []


async def test_a_token_is_good_for_its_own_list_alone(till: Till, desk: ReviewDesk) -> None:
    for _ in range(2):
        await held(till)
    token = (await desk.list(ReviewFilter(till.merchant), 1, "")).next_page_token
    error = await refused(till, desk.list(ReviewFilter(uuid4()), 1, token))
    assert error.reason is Reason.PAGE_TOKEN_INVALID
