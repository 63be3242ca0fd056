"""Opens the merchants of a seed: each with a key, and with accounts of its own at both processors' stand-ins."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from sandbox.config import STRIPE_EVENTS
from sandbox.local.loopback_http import ask
from sandbox.local.stack import LocalStack
from server.domain.ids import Prefix, parse_id

_MADE = (200, 201)


class SetUpError(Exception):
    """A merchant could not be opened, though nothing is broken yet; the text says what was answered."""


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant of one seed.

    Attributes:
        number: Within the seed.
        id: UUID as the database holds it.
        api_key: Of the gateway.
        stripe_account: Id at the stand-in.
        stripe_key: Key there, with which the merchant also works past Kassa.
        paypal_account: Id at the stand-in.
        account_ids: The gateway's own ids of both accounts, UUIDs.
    """

    number: int
    id: str
    api_key: str
    stripe_account: str
    stripe_key: str
    paypal_account: str
    account_ids: tuple[str, ...]

    @property
    def accounts(self) -> tuple[str, str]:
        """Ids of both accounts at the stand-ins."""
        return self.stripe_account, self.paypal_account


def open_merchants(stack: LocalStack, seed: int, count: int) -> list[Merchant]:
    """Opens `count` merchants.

    Raises:
        SetUpError: The gateway or the sandbox refused.
    """
    return [_open(stack, seed, number) for number in range(count)]


def close_merchants(stack: LocalStack, merchants: list[Merchant]) -> None:
    """Makes the stand-ins forget the merchants' accounts, so that a long run stays as quick as a short one."""
    for account in (account for merchant in merchants for account in merchant.accounts):
        _post(f"{stack.sandbox_url}/sandbox/accounts/{account}", None, method="DELETE")


def _open(stack: LocalStack, seed: int, number: int) -> Merchant:
    platform = stack.demo.platform_key
    name = {"name": f"Shop {number} of seed {seed}", "test_mode": True, "country": "US", "default_currency": "USD"}
    merchant = _post(f"{stack.url}/v1/merchants", name, platform)["id"]
    base = f"{stack.url}/v1/merchants/{merchant}"
    api_key = _post(f"{base}/api_keys", {"name": "simulator"}, platform)["secret"]
    # Keys differ from run to run of the same seed: an earlier one's accounts may be there still.
    token = base64.b32encode(Random().randbytes(15)).decode().lower()
    stripe = {"secret_key": f"sk_test_{token}", "webhook_secret": f"whsec_{token}"}
    paypal = {"client_id": f"client-{token}", "client_secret": f"secret-{token}", "webhook_id": f"WH-{token}"}
    stripe_id = _post(f"{base}/processor_accounts", {"stripe": stripe}, platform)["id"]
    paypal_id = _post(f"{base}/processor_accounts", {"paypal": paypal}, platform)["id"]
    at_stripe = _post(
        f"{stack.sandbox_url}/sandbox/accounts",
        {
            "processor": "stripe",
            "api_key": stripe["secret_key"],
            "webhook_url": f"{stack.url}/v1/webhooks/stripe/{stripe_id}",
            "webhook_secret": stripe["webhook_secret"],
            "events": list(STRIPE_EVENTS),
        },
    )
    at_paypal = _post(
        f"{stack.sandbox_url}/sandbox/accounts",
        {
            "processor": "paypal",
            "client_id": paypal["client_id"],
            "client_secret": paypal["client_secret"],
            "webhook_url": f"{stack.url}/v1/webhooks/paypal/{paypal_id}",
            "webhook_id": paypal["webhook_id"],
        },
    )
    return Merchant(
        number=number,
        id=str(parse_id(Prefix.MERCHANT, merchant, "merchant_id")),
        api_key=api_key,
        stripe_account=at_stripe["id"],
        stripe_key=stripe["secret_key"],
        paypal_account=at_paypal["id"],
        account_ids=tuple(str(parse_id(Prefix.PROCESSOR_ACCOUNT, one, "account_id")) for one in (stripe_id, paypal_id)),
    )


def _post(url: str, body: Mapping[str, object] | None, bearer: str = "", method: str | None = None) -> Any:
    status, answer = ask(url, body=body, bearer=bearer, timeout=30.0, method=method)
    if status not in _MADE:
        raise SetUpError(f"{url} answered {status}: {answer}")
    return answer
