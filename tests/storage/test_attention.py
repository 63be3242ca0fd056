"""Attention items: opened once, closed by a person or by the settlement that explains them, seen by whose they are."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from server.domain.attention import AttentionItem, AttentionKind
from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.errors import KassaError, Reason
from server.domain.ids import new_id
from server.domain.outcome import ActionRequired, Declined, Unknown
from server.domain.payment import Transaction
from server.storage.attention import AttentionFilter
from server.storage.external_refunds import ExternalRefund
from server.storage.open_payments import Opened
from server.storage.reads import get_transaction
from server.storage.short_transactions import ShortTransactions
from server.usecases.attention import ListAttention, ResolveAttention
from server.usecases.newest_first import NewestFirst
from server.usecases.page_tokens import PageTokens
from tests.factories import approved
from tests.storage.conftest import Till

DECLINED = Declined(failure=Failure(DeclineCode.CARD_DECLINED, "Declined.", Advice.TRY_ANOTHER_METHOD))


class Desk:
    """Where people look."""

    def __init__(self, transactions: ShortTransactions, merchant: UUID) -> None:
        self._list = ListAttention(NewestFirst(transactions, PageTokens(b"t" * 32)))
        self.resolve, self._merchant = ResolveAttention(transactions), merchant

    async def items(self, size: int = 100, token: str = "", **wanted: object) -> tuple[AttentionItem, ...]:
        """Lists this merchant's items."""
        found = AttentionFilter(**({"merchant_id": self._merchant} | wanted))  # type: ignore[arg-type]
        self.page = await self._list(found, size, token)
        return self.page.items

    async def kinds(self, **wanted: object) -> list[AttentionKind]:
        """The kinds of this merchant's items."""
        return [item.kind for item in await self.items(**wanted)]


@pytest.fixture
def desk(till: Till) -> Iterator[Desk]:
    with ThreadPoolExecutor(1) as threads:
        yield Desk(ShortTransactions(till.engine, threads), till.merchant)


async def opened(till: Till, age: timedelta = timedelta()) -> Transaction:
    found = await till.open()
    assert isinstance(found, Opened)
    till.make_older(found.transaction, age)
    return found.transaction


async def dashboard_refund(till: Till) -> UUID:
    payment = await till.charged(1000)
    await till.store.book_refund(ExternalRefund(till.merchant, payment.id, f"re_{payment.id.hex}", 400, "USD"))
    return payment.id


async def test_items_come_newest_first_in_pages(till: Till, desk: Desk) -> None:
    payments = [await dashboard_refund(till) for _ in range(3)]
    first = await desk.items(2)
    rest = await desk.items(2, desk.page.next_page_token)
    assert [item.payment_id for item in (*first, *rest)] == payments[::-1]
    assert desk.page.next_page_token == ""


async def test_a_page_token_is_good_for_its_own_filter_only(till: Till, desk: Desk) -> None:
    for _ in range(2):
        await dashboard_refund(till)
    await desk.items(1)
    with pytest.raises(KassaError) as refusal:
        await desk.items(1, desk.page.next_page_token, include_resolved=True)
    assert refusal.value.reason is Reason.PAGE_TOKEN_INVALID


async def test_the_list_is_narrowed_by_kind_payment_and_merchant(till: Till, desk: Desk) -> None:
    wanted, other = await dashboard_refund(till), await opened(till)
    await till.settle(other, approved(other, amount=1))
    assert set(await desk.kinds()) == {AttentionKind.EXTERNAL_REFUND, AttentionKind.AMOUNT_MISMATCH}
    assert await desk.kinds(kind=AttentionKind.AMOUNT_MISMATCH) == [AttentionKind.AMOUNT_MISMATCH]
    assert await desk.kinds(payment_id=wanted) == [AttentionKind.EXTERNAL_REFUND]
    assert await desk.kinds(merchant_id=uuid4()) == []
    assert await desk.kinds(merchant_id=None, payment_id=wanted) == [AttentionKind.EXTERNAL_REFUND]


async def test_resolving_is_remembered_and_done_once(till: Till, desk: Desk) -> None:
    await dashboard_refund(till)
    (item,) = await desk.items()
    done = await desk.resolve(till.merchant, item.id, "Ada", "The shop did it.")
    again = await desk.resolve(None, item.id, "Bob", "Me too.")
    assert (done.resolved_by, done.note) == ("Ada", "The shop did it.")
    assert again == done
    assert await desk.items() == ()
    assert await desk.items(include_resolved=True) == (done,)


async def test_somebody_elses_item_is_not_found_and_stays_open(till: Till, desk: Desk) -> None:
    await dashboard_refund(till)
    (item,) = await desk.items()
    for merchant, wanted in ((uuid4(), item.id), (till.merchant, new_id())):
        with pytest.raises(KassaError) as refusal:
            await desk.resolve(merchant, wanted, "Eve", "Mine.")
        assert refusal.value.reason is Reason.ATTENTION_NOT_FOUND
    assert await desk.items() == (item,)


async def test_what_a_person_has_closed_is_not_opened_again_in_the_same_words(till: Till, desk: Desk) -> None:
    one = await opened(till)
    await till.settle(one, approved(one, amount=1))
    (item,) = await desk.items()
    await desk.resolve(till.merchant, item.id, "Ada", "Stripe is asked.")
    await till.settle(one, approved(one, amount=1))
    assert await desk.items() == ()
    await till.settle(one, approved(one, amount=2))
    assert await desk.kinds() == [AttentionKind.AMOUNT_MISMATCH]


@pytest.mark.parametrize("answer", [DECLINED, ActionRequired(processor_payment_id="pi_1", redirect_url="https://b.ex")])
async def test_an_unknown_that_is_answered_after_all_closes_its_item(till: Till, desk: Desk, answer: Declined) -> None:
    one = await opened(till, timedelta(hours=2))
    await till.settle(one, Unknown())
    assert await desk.kinds() == [AttentionKind.UNRESOLVED]
    await till.settle(one, answer)
    assert await desk.items() == ()
    (item,) = await desk.items(include_resolved=True)
    assert item.resolved_by == "kassa"
    assert item.note.startswith("the processor has told: the authorization is")


async def test_an_item_that_closed_itself_may_open_anew(till: Till, desk: Desk) -> None:
    one = await opened(till, timedelta(hours=2))
    await till.settle(one, Unknown())
    await till.settle(one, ActionRequired(processor_payment_id="pi_1", redirect_url="https://bank.example"))
    await till.store.take_up(till.take_up_row(one))
    await till.settle(one, Unknown())
    assert await desk.kinds() == [AttentionKind.UNRESOLVED]


async def test_money_that_is_not_given_back_is_shown_until_it_is(till: Till, desk: Desk) -> None:
    one = await opened(till)
    await till.settle(one, DECLINED)
    await till.settle(one, approved(one))
    made = "SELECT id FROM transactions WHERE merchant_id = :merchant AND detail ? 'compensates'"
    refund = await till.store.read(get_transaction, till.merchant, till.query(made)[0][0])  # type: ignore[arg-type]
    assert refund is not None
    await till.settle(refund, DECLINED)
    assert await desk.kinds() == [AttentionKind.NOT_GIVEN_BACK, AttentionKind.CONTRADICTION]
    await till.settle(refund, approved(refund))
    assert await desk.kinds() == [AttentionKind.CONTRADICTION]
