"""MerchantService from the channel to Postgres: who may do what, and what is never shown again."""

import asyncio
from typing import Any

import grpc
import pytest

from server.domain.ids import Prefix, new_id, parse_id, render_id
from tests.merchants.conftest import Office
from tests.rpc.conftest import refused

STRIPE = {"secret_key": "sk_test_51abc", "webhook_secret": "whsec_abc"}
PAYPAL = {"client_id": "client", "client_secret": "secret-of-paypal", "webhook_id": "WH-1"}


async def test_a_merchant_is_made_read_and_changed(office: Office) -> None:
    made = await office.merchant(name="Ada's", time_zone="Europe/Paris")
    assert made.id.startswith("mer_") and made.test_mode
    assert await office.call("GetMerchant", merchant_id=made.id) == made
    changed = await office.call("UpdateMerchant", merchant_id=made.id, name="Byron's", country="GB")
    assert (changed.name, changed.country, changed.time_zone) == ("Byron's", "GB", "Europe/Paris")
    assert (changed.default_currency, changed.created_at) == ("USD", made.created_at)
    assert changed.updated_at.ToNanoseconds() > made.updated_at.ToNanoseconds()
    assert await office.call("GetMerchant", merchant_id=made.id) == changed


async def test_a_daily_limit_is_set_and_lifted(office: Office) -> None:
    assert (await office.merchant()).max_daily_transactions == 0
    made = await office.merchant(max_daily_transactions=1000)
    assert (await office.call("GetMerchant", merchant_id=made.id)).max_daily_transactions == 1000
    renamed = await office.call("UpdateMerchant", merchant_id=made.id, name="Byron's")
    assert renamed.max_daily_transactions == 1000
    lifted = await office.call("UpdateMerchant", merchant_id=made.id, max_daily_transactions=0)
    assert lifted.max_daily_transactions == 0


async def test_what_is_not_given_is_filled_in(office: Office) -> None:
    made = await office.merchant(time_zone="", default_currency="")
    assert (made.time_zone, made.default_currency) == ("UTC", "EUR")


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("CreateMerchant", {"name": " "}, "name"),
    ("CreateMerchant", {"name": "x" * 201}, "name"),
    ("CreateMerchant", {"name": "a\0"}, "name"),
    ("CreateMerchant", {"country": ""}, "country"),
    ("CreateMerchant", {"country": "XX"}, "country"),
    ("CreateMerchant", {"time_zone": "Mars/Base"}, "time_zone"),
    ("CreateMerchant", {"default_currency": "usd"}, "default_currency"),
    ("CreateMerchant", {"max_daily_transactions": -1}, "max_daily_transactions"),
    ("UpdateMerchant", {"max_daily_transactions": 2_000_000_001}, "max_daily_transactions"),
    ("UpdateMerchant", {"name": ""}, "name"),
    ("UpdateMerchant", {"country": ""}, "country"),
    ("UpdateMerchant", {"time_zone": ""}, "time_zone"),
    ("UpdateMerchant", {"default_currency": ""}, "default_currency"),
    ("CreateApiKey", {"name": "x" * 201}, "name"),
    ("CreateProcessorAccount", {}, "credentials"),
    ("CreateProcessorAccount", {"stripe": {"secret_key": "sk_test_1"}}, "stripe.webhook_secret"),
    ("CreateProcessorAccount", {"stripe": STRIPE | {"secret_key": "sk_live_51abc"}}, "stripe.secret_key"),
    ("CreateProcessorAccount", {"stripe": STRIPE | {"secret_key": "sk_test_\r\nx"}}, "stripe.secret_key"),
    ("CreateProcessorAccount", {"paypal": PAYPAL | {"client_secret": ""}}, "paypal.client_secret"),
]


@pytest.mark.parametrize(("method", "changes", "field"), BAD)
async def test_a_wrong_field_is_named(office: Office, method: str, changes: dict[str, Any], field: str) -> None:
    if method == "CreateMerchant":
        values = {"name": "Shop", "country": "US", "default_currency": "USD"} | changes
    else:
        values = {"merchant_id": (await office.merchant()).id} | changes
    seen = await refused(office.refusal(method, **values))
    assert (seen.code, seen.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert "sk_" not in f"{seen}"


async def test_nobody_is_not_found(office: Office) -> None:
    nobody = render_id(Prefix.MERCHANT, new_id())
    for method in ("GetMerchant", "UpdateMerchant", "CreateApiKey", "ListApiKeys", "ListProcessorAccounts"):
        seen = await refused(office.refusal(method, merchant_id=nobody))
        assert (method, seen.reason) == (method, "MERCHANT_NOT_FOUND")
    seen = await refused(office.refusal("CreateProcessorAccount", merchant_id=nobody, stripe=STRIPE))
    assert seen.reason == "MERCHANT_NOT_FOUND"


async def test_merchants_are_listed_newest_first_and_stay_stable(office: Office) -> None:
    made = [(await office.merchant()).id for _ in range(5)]
    first = await office.call("ListMerchants", page_size=2)
    assert [merchant.id for merchant in first.merchants] == [made[4], made[3]]
    await office.merchant()  # a newcomer shifts nothing
    second = await office.call("ListMerchants", page_size=2, page_token=first.next_page_token)
    assert [merchant.id for merchant in second.merchants] == [made[2], made[1]]


async def test_the_last_page_has_no_next(office: Office) -> None:
    merchant = await office.merchant()
    keys = [(await office.api_key(merchant.id)).id for _ in range(4)]
    first = await office.call("ListApiKeys", merchant_id=merchant.id, page_size=2)
    second = await office.call("ListApiKeys", merchant_id=merchant.id, page_size=2, page_token=first.next_page_token)
    assert [key.id for page in (first, second) for key in page.api_keys] == keys[::-1]
    assert first.next_page_token and not second.next_page_token


async def test_a_page_token_is_good_for_its_merchant_alone(office: Office) -> None:
    one, other = await office.merchant(), await office.merchant()
    for _ in range(2):
        await office.api_key(one.id)
    token = (await office.call("ListApiKeys", merchant_id=one.id, page_size=1)).next_page_token
    seen = await refused(office.refusal("ListApiKeys", merchant_id=other.id, page_token=token))
    assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    seen = await refused(office.refusal("ListMerchants", page_token=token))
    assert seen.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(("test_mode", "prefix"), [(True, "sk_test_"), (False, "sk_live_")])
async def test_a_key_is_shown_once_and_kept_by_nobody(office: Office, test_mode: bool, prefix: str) -> None:
    merchant = await office.merchant(test_mode=test_mode)
    key = await office.api_key(merchant.id)
    assert key.secret.startswith(prefix) and len(key.secret) == len(prefix) + 39
    assert key.secret.endswith(key.last4) and len(key.last4) == 4
    [listed] = (await office.call("ListApiKeys", merchant_id=merchant.id)).api_keys
    assert (listed.id, listed.last4, listed.HasField("secret")) == (key.id, key.last4, False)
    [row] = office.rows("SELECT * FROM api_keys WHERE last4 = :last4 AND id = :id", last4=key.last4, id=_uuid(key.id))
    assert key.secret.encode() not in bytes(row["key_hash"]) and key.secret not in str(row)


async def test_keys_overlap_and_a_revoked_one_is_refused(office: Office) -> None:
    merchant = await office.merchant()
    old, new = await office.api_key(merchant.id), await office.api_key(merchant.id)
    for key in (old, new):
        assert (await office.call("GetMerchant", key=key.secret, merchant_id=merchant.id)).id == merchant.id
    revoked = await office.call("RevokeApiKey", merchant_id=merchant.id, api_key_id=old.id)
    again = await office.call("RevokeApiKey", merchant_id=merchant.id, api_key_id=old.id)
    assert revoked.HasField("revoked_at") and again == revoked
    async with asyncio.timeout(5):
        while await office.refusal("GetMerchant", key=old.secret, merchant_id=merchant.id).code() is grpc.StatusCode.OK:
            pass  # authentication still remembers the key
    seen = await refused(office.refusal("GetMerchant", key=old.secret, merchant_id=merchant.id))
    assert (seen.code, seen.reason) == (grpc.StatusCode.UNAUTHENTICATED, "API_KEY_INVALID")
    assert (await office.call("GetMerchant", key=new.secret, merchant_id=merchant.id)).id == merchant.id


async def test_a_key_of_another_merchant_is_not_found(office: Office) -> None:
    one, other = await office.merchant(), await office.merchant()
    key = await office.api_key(one.id)
    seen = await refused(office.refusal("RevokeApiKey", merchant_id=other.id, api_key_id=key.id))
    assert (seen.code, seen.reason) == (grpc.StatusCode.NOT_FOUND, "API_KEY_NOT_FOUND")
    assert (await office.call("GetMerchant", key=key.secret, merchant_id=one.id)).id == one.id


async def test_a_merchants_key_reads_itself_and_administers_nothing(office: Office) -> None:
    merchant, other = await office.merchant(), await office.merchant()
    secret = (await office.api_key(merchant.id)).secret
    assert (await office.call("GetMerchant", key=secret, merchant_id=merchant.id)).id == merchant.id
    seen = await refused(office.refusal("GetMerchant", key=secret, merchant_id=other.id))
    assert seen.reason == "MERCHANT_NOT_FOUND"
    for method in ("UpdateMerchant", "CreateApiKey", "ListApiKeys", "RevokeApiKey", "CreateProcessorAccount"):
        seen = await refused(office.refusal(method, key=secret, merchant_id=merchant.id))
        assert (method, seen.code) == (method, grpc.StatusCode.PERMISSION_DENIED)


@pytest.mark.parametrize("credentials", [{"stripe": STRIPE}, {"paypal": PAYPAL}])
async def test_credentials_go_in_and_never_out(office: Office, credentials: dict[str, Any]) -> None:
    merchant = await office.merchant()
    account = await office.call("CreateProcessorAccount", merchant_id=merchant.id, **credentials)
    assert (account.processor, account.active, account.test_mode) == (next(iter(credentials)), True, True)
    ids = {"merchant_id": merchant.id, "processor_account_id": account.id}
    read = await office.call("GetProcessorAccount", **ids)
    [listed] = (await office.call("ListProcessorAccounts", merchant_id=merchant.id)).processor_accounts
    assert read == listed == account
    [row] = office.rows("SELECT * FROM processor_accounts WHERE id = :id", id=_uuid(account.id))
    for secret in next(iter(credentials.values())).values():
        assert secret not in str(account) and secret.encode() not in bytes(row["credentials"])


async def test_a_new_account_takes_over_and_an_old_one_can_come_back(office: Office) -> None:
    merchant = await office.merchant()
    old = await office.call("CreateProcessorAccount", merchant_id=merchant.id, stripe=STRIPE)
    new = await office.call("CreateProcessorAccount", merchant_id=merchant.id, stripe=STRIPE)
    await office.call("CreateProcessorAccount", merchant_id=merchant.id, paypal=PAYPAL)
    assert await _active(office, merchant.id, "stripe") == [new.id]
    ids = {"merchant_id": merchant.id, "processor_account_id": old.id}
    assert (await office.call("UpdateProcessorAccount", active=True, **ids)).active
    assert await _active(office, merchant.id, "stripe") == [old.id]
    assert not (await office.call("UpdateProcessorAccount", active=False, **ids)).active
    assert await _active(office, merchant.id, "stripe") == []
    assert len(await _active(office, merchant.id, "paypal")) == 1


async def test_accounts_made_at_once_leave_one_active(office: Office) -> None:
    merchant = await office.merchant()
    calls = (office.call("CreateProcessorAccount", merchant_id=merchant.id, stripe=STRIPE) for _ in range(8))
    made = await asyncio.gather(*calls)
    active = await _active(office, merchant.id, "stripe")
    assert len(active) == 1 and active[0] in {account.id for account in made}


async def test_an_account_stays_with_its_processor_and_its_merchant(office: Office) -> None:
    merchant, other = await office.merchant(), await office.merchant()
    account = await office.call("CreateProcessorAccount", merchant_id=merchant.id, stripe=STRIPE)
    ids = {"merchant_id": merchant.id, "processor_account_id": account.id}
    seen = await refused(office.refusal("UpdateProcessorAccount", paypal=PAYPAL, **ids))
    assert (seen.code, seen.field) == (grpc.StatusCode.INVALID_ARGUMENT, "paypal")
    ids["merchant_id"] = other.id
    for method in ("GetProcessorAccount", "UpdateProcessorAccount"):
        assert (await refused(office.refusal(method, **ids))).reason == "PROCESSOR_ACCOUNT_NOT_FOUND"


async def _active(office: Office, merchant_id: str, processor: str) -> list[str]:
    page = await office.call("ListProcessorAccounts", merchant_id=merchant_id)
    return [account.id for account in page.processor_accounts if account.active and account.processor == processor]


def _uuid(text: str) -> Any:
    prefix = Prefix(text.split("_", maxsplit=1)[0])
    return parse_id(prefix, text, "id")
