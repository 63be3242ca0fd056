"""LedgerService: parse, use case, render. Served by `rpc.server`."""

from typing import Any, Protocol, TypeAlias
from uuid import UUID

from grpc.aio import ServicerContext
from kassa.v1 import ledger_service_pb2 as pb
from kassa.v1 import ledger_service_pb2_grpc as pb_grpc

from server.domain.errors import InvalidField, KassaError, Reason
from server.domain.ids import Prefix, parse_id, render_id
from server.domain.ledger import JournalKind, LedgerAccount
from server.rpc import fields
from server.rpc.call import current_call
from server.rpc.render import render_time
from server.rpc.vocabulary import take_optional, to_wire
from server.storage.ledger_reads import EntryFilter, LedgerEntry, Sums
from server.usecases.answers import Caller
from server.usecases.read_ledger import ReadLedger

Context: TypeAlias = "ServicerContext[Any, Any]"

_KINDS = to_wire(JournalKind, pb.LedgerEntry.Kind)
# The books write accounts in lower case, the contract writes enum values in upper case.
_ACCOUNTS = {account: pb.LedgerEntry.Account.Value(account.name) for account in LedgerAccount}
_NAMED_ACCOUNTS = {wire: account for account, wire in _ACCOUNTS.items()}


class LedgerService(pb_grpc.LedgerServiceServicer):
    """See the contract."""

    def __init__(self, ledger: ReadLedger) -> None:
        self._ledger = ledger

    async def GetBalances(self, request: pb.GetBalancesRequest, context: Context) -> pb.Balances:
        """Over REST 200."""
        at = fields.instant(request.at, "at") if request.HasField("at") else None
        found = await self._ledger.balances(_books(request), at)
        return pb.Balances(
            merchant_id=render_id(Prefix.MERCHANT, found.merchant_id),
            balances=[
                pb.Balance(account=_ACCOUNTS[one.account], currency=one.currency, amount=one.amount)
                for one in found.balances
            ],
            at=None if found.at is None else render_time(found.at),
        )

    async def ListLedgerEntries(
        self, request: pb.ListLedgerEntriesRequest, context: Context
    ) -> pb.ListLedgerEntriesResponse:
        """Over REST 200."""
        merchant_id, wanted, size = _books(request), _filter(request), fields.page_size(request.page_size)
        page = await self._ledger.entries(merchant_id, wanted, size, request.page_token)
        entries = [_entry(entry) for entry in page.items]
        return pb.ListLedgerEntriesResponse(entries=entries, next_page_token=page.next_page_token)

    async def GetTrialBalance(self, request: pb.GetTrialBalanceRequest, context: Context) -> pb.TrialBalance:
        """Over REST 200."""
        sums = await self._ledger.trial_balance(_named_books(request))
        return pb.TrialBalance(lines=[_line(one) for one in sums])


class _NamesBooks(Protocol):
    merchant_id: str


def _books(request: _NamesBooks) -> UUID:
    """Returns whose books are meant.

    Raises:
        InvalidField: A platform key has none of its own and must name them.
        KassaError: MERCHANT_NOT_FOUND: another merchant's.
    """
    named = _named_books(request)
    if named is None:
        raise InvalidField("merchant_id", "is required with a platform key")
    return named


def _named_books(request: _NamesBooks) -> UUID | None:
    named = parse_id(Prefix.MERCHANT, request.merchant_id, "merchant_id") if request.merchant_id else None
    principal = current_call().principal
    if not isinstance(principal, Caller):
        return named
    if named not in {None, principal.merchant_id}:
        raise KassaError(Reason.MERCHANT_NOT_FOUND, "There is no such merchant.")
    return principal.merchant_id


def _filter(request: pb.ListLedgerEntriesRequest) -> EntryFilter:
    after, before = request.HasField("created_after"), request.HasField("created_before")
    return EntryFilter(
        payment_id=parse_id(Prefix.PAYMENT, request.payment_id, "payment_id") if request.payment_id else None,
        account=take_optional(_NAMED_ACCOUNTS, request.account, "account"),
        # Books may hold currencies that payments may not use, or use no more.
        currency=fields.currency(request.currency, "currency", fields.iso_currencies()) if request.currency else None,
        created_after=fields.instant(request.created_after, "created_after") if after else None,
        created_before=fields.instant(request.created_before, "created_before") if before else None,
    )


def _entry(entry: LedgerEntry) -> pb.LedgerEntry:
    return pb.LedgerEntry(
        id=render_id(Prefix.LEDGER_ENTRY, entry.id),
        journal_id=render_id(Prefix.JOURNAL, entry.journal_id),
        merchant_id=render_id(Prefix.MERCHANT, entry.merchant_id),
        kind=_KINDS[entry.kind],
        account=_ACCOUNTS[entry.account],
        amount=entry.amount,
        currency=entry.currency,
        payment_id=render_id(Prefix.PAYMENT, entry.payment_id),
        transaction_id=render_id(Prefix.TRANSACTION, entry.transaction_id),
        processor_reference=entry.processor_reference,
        created_at=render_time(entry.created_at),
    )


def _line(sums: Sums) -> pb.TrialBalance.Line:
    return pb.TrialBalance.Line(
        currency=sums.currency, debits=sums.debits, credits=sums.credits, total=sums.debits - sums.credits
    )
