"""MerchantService: parse, use case, render. Served by `rpc.server`.

`rpc.access` lets platform keys alone in, but for GetMerchant, which a merchant may call for itself.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from grpc.aio import ServicerContext
from kassa.v1 import merchant_service_pb2 as pb
from kassa.v1 import merchant_service_pb2_grpc as pb_grpc

from server.domain.errors import KassaError, Reason
from server.domain.ids import Prefix, parse_id, render_id
from server.domain.merchant import ApiKey, Merchant, ProcessorAccount
from server.rpc import fields
from server.rpc.call import current_call
from server.rpc.parse_merchants import (
    parse_changes,
    parse_credentials,
    parse_details,
    parse_key_name,
    require_credentials,
)
from server.rpc.render import render_time
from server.usecases.answers import Caller
from server.usecases.api_keys import ApiKeys
from server.usecases.merchants import Merchants
from server.usecases.processor_accounts import ProcessorAccounts

Context: TypeAlias = "ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantUseCases:
    """What the service calls; every one raises KassaError alone."""

    merchants: Merchants
    api_keys: ApiKeys
    processor_accounts: ProcessorAccounts


class MerchantService(pb_grpc.MerchantServiceServicer):
    """See the contract.

    Args:
        supported_currencies: ISO 4217 codes that a merchant may have as its own.
    """

    def __init__(self, use_cases: MerchantUseCases, supported_currencies: frozenset[str]) -> None:
        self._merchants, self._api_keys = use_cases.merchants, use_cases.api_keys
        self._accounts, self._supported = use_cases.processor_accounts, supported_currencies

    async def CreateMerchant(self, request: pb.CreateMerchantRequest, context: Context) -> pb.Merchant:
        """Over REST 201."""
        details = parse_details(request, self._supported)
        merchant = await self._merchants.create(details, test_mode=request.test_mode)
        current_call().http_status = 201
        return _merchant(merchant)

    async def GetMerchant(self, request: pb.GetMerchantRequest, context: Context) -> pb.Merchant:
        """Over REST 200; a merchant finds itself and nobody else."""
        merchant_id, principal = _merchant_id(request), current_call().principal
        if isinstance(principal, Caller) and principal.merchant_id != merchant_id:
            raise KassaError(Reason.MERCHANT_NOT_FOUND, "There is no such merchant.")
        return _merchant(await self._merchants.get(merchant_id))

    async def ListMerchants(self, request: pb.ListMerchantsRequest, context: Context) -> pb.ListMerchantsResponse:
        """Over REST 200."""
        page = await self._merchants.list(fields.page_size(request.page_size), request.page_token)
        merchants = [_merchant(merchant) for merchant in page.items]
        return pb.ListMerchantsResponse(merchants=merchants, next_page_token=page.next_page_token)

    async def UpdateMerchant(self, request: pb.UpdateMerchantRequest, context: Context) -> pb.Merchant:
        """Over REST 200."""
        changes = parse_changes(request, self._supported)
        return _merchant(await self._merchants.update(_merchant_id(request), changes))

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.ApiKey:
        """Over REST 201; the one answer that holds the secret."""
        issued = await self._api_keys.create(_merchant_id(request), parse_key_name(request))
        current_call().http_status = 201
        return _api_key(issued.key, issued.secret)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        """Over REST 200."""
        size = fields.page_size(request.page_size)
        page = await self._api_keys.list(_merchant_id(request), size, request.page_token)
        return pb.ListApiKeysResponse(
            api_keys=[_api_key(key) for key in page.items], next_page_token=page.next_page_token
        )

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.ApiKey:
        """Over REST 200."""
        key_id = parse_id(Prefix.API_KEY, request.api_key_id, "api_key_id")
        return _api_key(await self._api_keys.revoke(_merchant_id(request), key_id))

    async def CreateProcessorAccount(
        self, request: pb.CreateProcessorAccountRequest, context: Context
    ) -> pb.ProcessorAccount:
        """Over REST 201."""
        credentials = require_credentials(parse_credentials(request))
        account = await self._accounts.create(_merchant_id(request), credentials)
        current_call().http_status = 201
        return _account(account)

    async def GetProcessorAccount(
        self, request: pb.GetProcessorAccountRequest, context: Context
    ) -> pb.ProcessorAccount:
        """Over REST 200."""
        return _account(await self._accounts.get(_merchant_id(request), _account_id(request)))

    async def ListProcessorAccounts(
        self, request: pb.ListProcessorAccountsRequest, context: Context
    ) -> pb.ListProcessorAccountsResponse:
        """Over REST 200."""
        size = fields.page_size(request.page_size)
        page = await self._accounts.list(_merchant_id(request), size, request.page_token)
        return pb.ListProcessorAccountsResponse(
            processor_accounts=[_account(account) for account in page.items], next_page_token=page.next_page_token
        )

    async def UpdateProcessorAccount(
        self, request: pb.UpdateProcessorAccountRequest, context: Context
    ) -> pb.ProcessorAccount:
        """Over REST 200."""
        credentials = parse_credentials(request)
        active = request.active if request.HasField("active") else None
        merchant_id, account_id = _merchant_id(request), _account_id(request)
        return _account(await self._accounts.update(merchant_id, account_id, credentials=credentials, active=active))


class _NamesMerchant(Protocol):
    merchant_id: str


class _NamesAccount(Protocol):
    processor_account_id: str


def _merchant_id(request: _NamesMerchant) -> UUID:
    return parse_id(Prefix.MERCHANT, request.merchant_id, "merchant_id")


def _account_id(request: _NamesAccount) -> UUID:
    return parse_id(Prefix.PROCESSOR_ACCOUNT, request.processor_account_id, "processor_account_id")


def _merchant(merchant: Merchant) -> pb.Merchant:
    return pb.Merchant(
        id=render_id(Prefix.MERCHANT, merchant.id),
        name=merchant.name,
        test_mode=merchant.test_mode,
        country=merchant.country,
        time_zone=merchant.time_zone,
        default_currency=merchant.default_currency,
        max_daily_transactions=merchant.max_daily_transactions,
        created_at=render_time(merchant.created_at),
        updated_at=render_time(merchant.updated_at),
    )


def _api_key(key: ApiKey, secret: str | None = None) -> pb.ApiKey:
    assert key.merchant_id is not None, "platform keys are never shown here"
    return pb.ApiKey(
        id=render_id(Prefix.API_KEY, key.id),
        merchant_id=render_id(Prefix.MERCHANT, key.merchant_id),
        name=key.name,
        secret=secret,
        last4=key.last4,
        created_at=render_time(key.created_at),
        revoked_at=None if key.revoked_at is None else render_time(key.revoked_at),
    )


def _account(account: ProcessorAccount) -> pb.ProcessorAccount:
    return pb.ProcessorAccount(
        id=render_id(Prefix.PROCESSOR_ACCOUNT, account.id),
        merchant_id=render_id(Prefix.MERCHANT, account.merchant_id),
        processor=account.processor,
        test_mode=account.test_mode,
        active=account.active,
        created_at=render_time(account.created_at),
        updated_at=render_time(account.updated_at),
    )
