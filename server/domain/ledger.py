"""Double entry: each movement of money is a journal of entries that sum to zero; made while settling.

Whatever happens to a merchant's money stands against PROCESSOR_RECEIVABLE, so that its balance is what the merchant is
owed: all that was captured, less refunds, fees, disputes and reserve.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from server.domain.fee import Fee
from server.domain.ids import new_id


class LedgerAccount(StrEnum):
    """Accounts of a merchant, one set a currency. The balance of each explains one number."""

    PROCESSOR_RECEIVABLE = "processor_receivable"
    """What processors owe: all that they took for the merchant, less what they gave back, kept, or withhold."""
    MERCHANT_PAYABLE = "merchant_payable"
    """What was captured for the merchant; in credit."""
    REFUNDS = "refunds"
    """What was returned to customers."""
    FEES = "fees"
    """What processors kept for their work, in the currency in which they settle."""
    DISPUTES = "disputes"
    """What processors have taken back for disputes."""
    RESERVE = "reserve"
    """What processors withhold until a dispute is decided."""


class JournalKind(StrEnum):
    """Why money moved."""

    CAPTURE = "CAPTURE"
    CAPTURE_REVERSED = "CAPTURE_REVERSED"
    REFUND = "REFUND"
    REFUND_FAILED = "REFUND_FAILED"
    FEE = "FEE"
    DISPUTE_WITHDRAWN = "DISPUTE_WITHDRAWN"
    DISPUTE_REINSTATED = "DISPUTE_REINSTATED"
    DISPUTE_HELD = "DISPUTE_HELD"
    DISPUTE_RELEASED = "DISPUTE_RELEASED"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal. `amount` is in minor units of `currency`, a debit positive, a credit negative."""

    id: UUID
    account: LedgerAccount
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Journal:
    """The entries of one movement; they sum to zero per currency, which Postgres checks too.

    Attributes:
        reference: The processor's object that says so; empty where it is the transaction's own.
    """

    id: UUID
    kind: JournalKind
    entries: tuple[Entry, ...]
    reference: str = ""


def capture_journal(amount: int, currency: str, reference: str = "") -> Journal:
    """Books funds taken from the customer, minor units."""
    assert amount > 0, "the kind says which way money moved"
    return _journal(JournalKind.CAPTURE, LedgerAccount.MERCHANT_PAYABLE, -amount, currency, reference)


def capture_reversed_journal(amount: int, currency: str, reference: str = "") -> Journal:
    """Books a capture back that stands in no payment, minor units: one of a payment that had failed here."""
    assert amount > 0, "the kind says which way money moved"
    return _journal(JournalKind.CAPTURE_REVERSED, LedgerAccount.MERCHANT_PAYABLE, amount, currency, reference)


def refund_journal(amount: int, currency: str, reference: str = "") -> Journal:
    """Books funds returned to the customer, minor units."""
    assert amount > 0, "the kind says which way money moved"
    return _journal(JournalKind.REFUND, LedgerAccount.REFUNDS, amount, currency, reference)


def refund_failed_journal(amount: int, currency: str, reference: str = "") -> Journal:
    """Books a returned refund back, minor units."""
    assert amount > 0, "the kind says which way money moved"
    return _journal(JournalKind.REFUND_FAILED, LedgerAccount.REFUNDS, -amount, currency, reference)


def fee_journal(fee: Fee) -> Journal:
    """Books what the processor kept, or gave back, in the fee's own currency; storage writes each reference once."""
    return _journal(JournalKind.FEE, LedgerAccount.FEES, fee.amount, fee.currency, fee.reference)


def fee_journals(*fees: Fee | None) -> tuple[Journal, ...]:
    """Books the fees that are known; one of nothing moves nothing."""
    return tuple(fee_journal(fee) for fee in fees if fee is not None and fee.amount)


def dispute_journals(  # noqa: PLR0913 - what stood, what stands, and whose it is
    before_withdrawn: int, before_held: int, after_withdrawn: int, after_held: int, currency: str,
    *, reference: str = "",
) -> tuple[Journal, ...]:  # fmt: skip
    """Books how a dispute's money moved since it was last booked: a hold that is taken is released, then withdrawn.

    Args:
        before_withdrawn: With before_held: what `DisputeStanding` said before, minor units; zero for a new dispute.
        after_withdrawn: With after_held: what it says now.
    """
    withdrawn, held = after_withdrawn - before_withdrawn, after_held - before_held
    moves = (
        (JournalKind.DISPUTE_HELD if held > 0 else JournalKind.DISPUTE_RELEASED, LedgerAccount.RESERVE, held),
        (
            JournalKind.DISPUTE_WITHDRAWN if withdrawn > 0 else JournalKind.DISPUTE_REINSTATED,
            LedgerAccount.DISPUTES,
            withdrawn,
        ),
    )
    return tuple(_journal(kind, account, amount, currency, reference) for kind, account, amount in moves if amount)


def _journal(kind: JournalKind, account: LedgerAccount, amount: int, currency: str, reference: str) -> Journal:
    """Moves an amount between the processor and an account, which a positive one debits."""
    assert amount != 0, "a journal moves money"
    sides = ((account, amount), (LedgerAccount.PROCESSOR_RECEIVABLE, -amount))
    debit_first = sides if amount > 0 else sides[::-1]  # as bookkeepers write it
    return Journal(new_id(), kind, tuple(Entry(new_id(), *side, currency) for side in debit_first), reference)
