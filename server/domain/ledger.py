"""Double entry: each movement of money is a journal of entries that sum to zero; made while settling."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from server.domain.ids import new_id


class LedgerAccount(StrEnum):
    """Accounts of a merchant, one set a currency."""

    PROCESSOR_RECEIVABLE = "processor_receivable"
    """What the processor owes: debited by a capture, credited by a refund."""
    MERCHANT_PAYABLE = "merchant_payable"
    """What belongs to the merchant: credited by a capture, debited by a refund."""


class JournalKind(StrEnum):
    """Why money moved."""

    CAPTURE = "CAPTURE"
    REFUND = "REFUND"
    REFUND_FAILED = "REFUND_FAILED"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal. `amount` is in minor units of `currency`, a debit positive, a credit negative."""

    id: UUID
    account: LedgerAccount
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Journal:
    """The entries of one movement; they sum to zero per currency, which Postgres checks too."""

    id: UUID
    kind: JournalKind
    entries: tuple[Entry, ...]


def _journal(kind: JournalKind, debit: LedgerAccount, credit: LedgerAccount, amount: int, currency: str) -> Journal:
    assert amount > 0, "a journal moves a positive amount"
    return Journal(
        new_id(), kind, (Entry(new_id(), debit, amount, currency), Entry(new_id(), credit, -amount, currency))
    )


def capture_journal(amount: int, currency: str) -> Journal:
    """Books funds taken from the customer, minor units."""
    return _journal(
        JournalKind.CAPTURE, LedgerAccount.PROCESSOR_RECEIVABLE, LedgerAccount.MERCHANT_PAYABLE, amount, currency
    )


def refund_journal(amount: int, currency: str) -> Journal:
    """Books funds returned to the customer, minor units."""
    return _journal(
        JournalKind.REFUND, LedgerAccount.MERCHANT_PAYABLE, LedgerAccount.PROCESSOR_RECEIVABLE, amount, currency
    )


def refund_failed_journal(amount: int, currency: str) -> Journal:
    """Books a returned refund back, minor units."""
    return _journal(
        JournalKind.REFUND_FAILED, LedgerAccount.PROCESSOR_RECEIVABLE, LedgerAccount.MERCHANT_PAYABLE, amount, currency
    )
