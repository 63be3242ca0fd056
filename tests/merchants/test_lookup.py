"""The account that a payment goes to, and the caller that a key stands for, as the hot path finds them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from server.domain.errors import KassaError, Reason
from server.domain.ids import new_id
from server.domain.merchant import Merchant
from server.processors.contract import Account
from server.rpc.merchant_service import MerchantUseCases
from server.storage.sealing import SealBroken, Sealing
from server.storage.short_transactions import ShortTransactions
from server.usecases import remembered
from server.usecases.answers import Caller
from server.usecases.authenticate import Authenticate, Platform
from server.usecases.merchants import MerchantChanges, MerchantDetails
from server.usecases.processor_accounts import Credentials
from server.usecases.processor_accounts_lookup import PLATFORM_ACCOUNTS, Accounts, platform_account
from tests.clocks import Clock
from tests.merchants.conftest import HASH_KEY

OWN = {"secret_key": "sk_test_own", "webhook_secret": "whsec_own"}
OURS = platform_account("stripe", {"secret_key": "sk_test_ours", "webhook_secret": "w"}, test_mode=True)


class Counting(ShortTransactions):
    """Counts what goes to the database."""

    def __init__(self, inner: ShortTransactions) -> None:
        self._inner, self.count = inner, 0

    async def run(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return await self._inner.run(work, *args, **kwargs)

    async def read(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return await self._inner.read(work, *args, **kwargs)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(remembered, "time", clock := Clock())
    return clock


@pytest.fixture
async def counting(transactions: ShortTransactions) -> AsyncIterator[Counting]:
    yield Counting(transactions)


async def make_merchant(use_cases: MerchantUseCases, *, test_mode: bool = True) -> Merchant:
    details = MerchantDetails("Shop", "FR", "Europe/Paris", "EUR")
    return await use_cases.merchants.create(details, test_mode=test_mode)


def accounts(transactions: ShortTransactions, sealing: Sealing, *platform: Account, cached_s: float = 60.0) -> Accounts:
    return Accounts(transactions, sealing, platform, cached_s=cached_s)


async def test_the_merchants_own_account_comes_first(
    use_cases: MerchantUseCases, transactions: ShortTransactions, sealing: Sealing
) -> None:
    merchant = await make_merchant(use_cases)
    made = await use_cases.processor_accounts.create(merchant.id, Credentials("stripe", OWN))
    found = await accounts(transactions, sealing, OURS).for_merchant(merchant.id, "stripe")
    assert (found.id, found.merchant_id, found.test_mode) == (made.id, merchant.id, True)
    assert found.credentials == OWN and "sk_test_own" not in repr(found)
    assert await accounts(transactions, sealing).by_id(made.id) == found


async def test_the_platforms_account_serves_who_has_none(
    use_cases: MerchantUseCases, transactions: ShortTransactions, sealing: Sealing
) -> None:
    merchant = await make_merchant(use_cases)
    lookup = accounts(transactions, sealing, OURS)
    assert await lookup.for_merchant(merchant.id, "stripe") == OURS
    assert await lookup.by_id(PLATFORM_ACCOUNTS["stripe"]) == OURS


async def test_test_money_and_real_money_never_meet(
    use_cases: MerchantUseCases, transactions: ShortTransactions, sealing: Sealing
) -> None:
    live = await make_merchant(use_cases, test_mode=False)
    assert await _reason(accounts(transactions, sealing, OURS).for_merchant(live.id, "stripe")) is NOT_CONFIGURED
    test = await make_merchant(use_cases)
    theirs = platform_account("stripe", {"secret_key": "sk_live_ours"}, test_mode=False)
    assert await _reason(accounts(transactions, sealing, theirs).for_merchant(test.id, "stripe")) is NOT_CONFIGURED


async def test_an_inactive_account_takes_no_new_payments_and_is_still_found(
    use_cases: MerchantUseCases, transactions: ShortTransactions, sealing: Sealing
) -> None:
    merchant = await make_merchant(use_cases)
    made = await use_cases.processor_accounts.create(merchant.id, Credentials("stripe", OWN))
    await use_cases.processor_accounts.update(merchant.id, made.id, credentials=None, active=False)
    lookup = accounts(transactions, sealing, OURS)
    assert await lookup.for_merchant(merchant.id, "stripe") == OURS
    assert (await lookup.by_id(made.id)).credentials == OWN


async def test_what_is_not_there_is_said(
    use_cases: MerchantUseCases, transactions: ShortTransactions, sealing: Sealing
) -> None:
    merchant, lookup = await make_merchant(use_cases), accounts(transactions, sealing)
    assert await _reason(lookup.for_merchant(merchant.id, "paypal")) is NOT_CONFIGURED
    assert await _reason(lookup.by_id(PLATFORM_ACCOUNTS["paypal"])) is NOT_CONFIGURED
    assert await _reason(lookup.for_merchant(new_id(), "stripe")) is Reason.MERCHANT_NOT_FOUND
    assert await _reason(lookup.by_id(new_id())) is Reason.PROCESSOR_ACCOUNT_NOT_FOUND


async def test_new_credentials_are_in_force_once_the_old_are_forgotten(
    use_cases: MerchantUseCases, counting: Counting, sealing: Sealing
) -> None:
    merchant = await make_merchant(use_cases)
    made = await use_cases.processor_accounts.create(merchant.id, Credentials("stripe", OWN))
    lookup = accounts(counting, sealing, cached_s=0.05)
    await asyncio.gather(*(lookup.for_merchant(merchant.id, "stripe") for _ in range(20)))
    assert counting.count == 1
    new = OWN | {"secret_key": "sk_test_new"}
    await use_cases.processor_accounts.update(merchant.id, made.id, credentials=Credentials("stripe", new), active=None)
    async with asyncio.timeout(5):
        while (await lookup.for_merchant(merchant.id, "stripe")).credentials != new:
            await asyncio.sleep(0.01)
    assert (await lookup.by_id(made.id)).credentials == new


async def test_sealed_credentials_of_another_row_do_not_open(
    use_cases: MerchantUseCases, transactions: ShortTransactions, sealing: Sealing, engine: Engine
) -> None:
    merchant = await make_merchant(use_cases)
    one = await use_cases.processor_accounts.create(merchant.id, Credentials("stripe", OWN))
    other = await use_cases.processor_accounts.create(merchant.id, Credentials("stripe", OWN))
    move = "UPDATE processor_accounts a SET credentials = b.credentials FROM processor_accounts b "
    with engine.begin() as connection:
        connection.execute(text(move + "WHERE a.id = :one AND b.id = :other"), {"one": one.id, "other": other.id})
    with pytest.raises(Exception, match="another row"):
        await accounts(transactions, sealing).by_id(one.id)


async def test_accounts_in_use_are_read_again_together_and_one_that_is_broken_harms_no_other(
    use_cases: MerchantUseCases, counting: Counting, sealing: Sealing, engine: Engine, clock: Clock
) -> None:
    merchants = [await make_merchant(use_cases) for _ in range(4)]
    made = [await use_cases.processor_accounts.create(one.id, Credentials("stripe", OWN)) for one in merchants[:3]]
    lookup = accounts(counting, sealing, OURS)
    for merchant in merchants * 2:
        await lookup.for_merchant(merchant.id, "stripe")
    with engine.begin() as connection:
        broken = "UPDATE processor_accounts SET credentials = '\\x00' WHERE id = :id"
        connection.execute(text(broken), {"id": made[0].id})
    await use_cases.processor_accounts.update(merchants[1].id, made[1].id, credentials=None, active=False)
    clock.now += 40
    await lookup.for_merchant(merchants[0].id, "stripe")
    async with asyncio.timeout(5):
        while await lookup.for_merchant(merchants[1].id, "stripe") != OURS:
            await asyncio.sleep(0.01)
    assert (await lookup.for_merchant(merchants[2].id, "stripe")).id == made[2].id
    assert await lookup.for_merchant(merchants[3].id, "stripe") == OURS
    assert counting.count == 5, "one for each, and one for all of them"
    with pytest.raises(SealBroken):
        await lookup.for_merchant(merchants[0].id, "stripe")


async def test_accounts_are_found_by_their_ids_together(
    use_cases: MerchantUseCases, counting: Counting, sealing: Sealing, engine: Engine, clock: Clock
) -> None:
    merchants = [await make_merchant(use_cases) for _ in range(3)]
    made = [await use_cases.processor_accounts.create(one.id, Credentials("stripe", OWN)) for one in merchants]
    lookup = accounts(counting, sealing)
    for account in made * 2:
        assert (await lookup.by_id(account.id)).merchant_id == account.merchant_id
    with engine.begin() as connection:
        broken = "UPDATE processor_accounts SET credentials = '\\x00' WHERE id = :id"
        connection.execute(text(broken), {"id": made[0].id})
    clock.now += 40
    await lookup.by_id(made[1].id)
    with pytest.raises(SealBroken):
        async with asyncio.timeout(5):
            while await lookup.by_id(made[0].id):
                await asyncio.sleep(0.01)
    assert [(await lookup.by_id(one.id)).id for one in made[1:]] == [one.id for one in made[1:]]
    assert counting.count == 5, "one for each, one for all of them, and one more for what is broken"


async def test_keys_in_use_are_read_again_together(
    use_cases: MerchantUseCases, counting: Counting, clock: Clock
) -> None:
    merchants = [await make_merchant(use_cases) for _ in range(3)]
    issued = [await use_cases.api_keys.create(one.id, "till") for one in merchants]
    authenticate = Authenticate(counting, HASH_KEY)
    for one in issued * 2:
        await authenticate(one.secret)
    await use_cases.api_keys.revoke(merchants[1].id, issued[1].key.id)
    clock.now += 3
    await authenticate(issued[0].secret)
    with pytest.raises(KassaError) as caught:
        async with asyncio.timeout(5):
            while await authenticate(issued[1].secret):
                await asyncio.sleep(0.01)
    assert caught.value.reason is Reason.API_KEY_INVALID
    callers = [await authenticate(issued[number].secret) for number in (0, 2)]
    assert [one.merchant_id for one in callers if isinstance(one, Caller)] == [merchants[0].id, merchants[2].id]
    assert counting.count == 4, "one for each, and one for all of them"


async def test_a_key_stands_for_its_merchant(use_cases: MerchantUseCases, counting: Counting) -> None:
    merchant = await make_merchant(use_cases)
    issued = await use_cases.api_keys.create(merchant.id, "till")
    assert issued.secret not in repr(issued)
    authenticate = Authenticate(counting, HASH_KEY)
    expected = Caller(merchant.id, test_mode=True, time_zone="Europe/Paris")
    assert await asyncio.gather(*(authenticate(issued.secret) for _ in range(20))) == [expected] * 20
    assert await authenticate(issued.secret) == expected
    assert counting.count == 1, "callers who ask at once share one look-up, and later ones need none"


async def test_a_platform_key_stands_for_the_platform(
    use_cases: MerchantUseCases, transactions: ShortTransactions
) -> None:
    issued = await use_cases.api_keys.create_platform_key("first")
    assert issued.secret.startswith("sk_platform_")
    assert await Authenticate(transactions, HASH_KEY)(issued.secret) == Platform()


async def test_a_revoked_key_is_refused_once_the_answer_is_forgotten(
    use_cases: MerchantUseCases, transactions: ShortTransactions
) -> None:
    merchant = await make_merchant(use_cases)
    issued = await use_cases.api_keys.create(merchant.id, "till")
    authenticate = Authenticate(transactions, HASH_KEY, cached_s=0.05)
    await authenticate(issued.secret)
    await use_cases.api_keys.revoke(merchant.id, issued.key.id)
    with pytest.raises(KassaError) as caught:
        async with asyncio.timeout(5):
            while True:
                await authenticate(issued.secret)
                await asyncio.sleep(0.01)
    assert caught.value.reason is Reason.API_KEY_INVALID


async def test_a_changed_time_zone_reaches_the_caller(
    use_cases: MerchantUseCases, transactions: ShortTransactions
) -> None:
    merchant = await make_merchant(use_cases)
    issued = await use_cases.api_keys.create(merchant.id, "till")
    await use_cases.merchants.update(merchant.id, MerchantChanges(time_zone="Asia/Tokyo"))
    assert await Authenticate(transactions, HASH_KEY)(issued.secret) == Caller(merchant.id, True, "Asia/Tokyo")


async def test_a_key_under_another_secret_is_unknown(
    use_cases: MerchantUseCases, transactions: ShortTransactions
) -> None:
    issued = await use_cases.api_keys.create_platform_key("other")
    assert await _reason(Authenticate(transactions, b"x" * 32)(issued.secret)) is Reason.API_KEY_INVALID


SECRET = "sk_test_" + "0" * 39  # well formed but for its checksum


@pytest.mark.parametrize("secret", ["", "sk_test_", "sk_test_abc", SECRET, SECRET[:-1], SECRET[:-1] + "§", SECRET[1:]])
async def test_what_cannot_be_a_key_costs_no_look_up(counting: Counting, secret: str) -> None:
    assert await _reason(Authenticate(counting, HASH_KEY)(secret)) is Reason.API_KEY_INVALID
    assert counting.count == 0


NOT_CONFIGURED = Reason.PROCESSOR_NOT_CONFIGURED


async def _reason(call: Any) -> Reason:
    with pytest.raises(KassaError) as caught:
        await call
    return caught.value.reason
