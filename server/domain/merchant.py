"""Merchants and what belongs to them: API keys and accounts at processors; rows of `storage` are read into these."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Merchant:
    """Who takes payments. Times are UTC and aware.

    Attributes:
        test_mode: For ever: a test merchant's payments never reach a live account, nor the other way round.
        country: ISO 3166-1 alpha-2, upper case.
        time_zone: IANA name; the local hour of a payment is a fact of fraud rules.
        default_currency: ISO 4217, upper case.
        max_daily_transactions: Payments that it may open on a day of its time zone; 0 where the server's setting holds.
    """

    id: UUID
    name: str
    test_mode: bool
    country: str
    time_zone: str
    default_currency: str
    created_at: datetime
    updated_at: datetime
    max_daily_transactions: int = 0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret, which is shown once, when the key is made.

    Attributes:
        merchant_id: Whose payments it may touch; None for a platform key, which administers merchants.
        last4: The end of the secret, so that people can tell keys apart.
        revoked_at: Since when it is refused; None while it works.
    """

    id: UUID
    merchant_id: UUID | None
    name: str
    last4: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProcessorAccount:
    """A merchant's own account at a processor, without its credentials, which never leave the server.

    Attributes:
        test_mode: The merchant's.
        active: Whether new payments go there; at most one account of a processor is active. One that is not still
            serves the payments that were made with it, and its webhooks.
    """

    id: UUID
    merchant_id: UUID
    processor: str
    test_mode: bool
    active: bool
    created_at: datetime
    updated_at: datetime
