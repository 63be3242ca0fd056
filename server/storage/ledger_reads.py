"""Reads of the ledger: balances, entries, the trial balance. Called by `usecases.read_ledger`.

Entries carry the moment at which their transaction began, and show when it ends. So a balance of a moment is final only
once no transaction is left that began before it; `final_until` says until when that holds.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from server.domain.ledger import JournalKind, LedgerAccount

_LAG_S = 1
"""A connection takes its transaction's time a moment before others can see that it has; far longer than that moment."""

# Whoever may insert entries connects as the writer, and the writer sees only its own transactions' times:
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
_FINAL_UNTIL = text("""
    SELECT LEAST(clock_timestamp() - :lag_s * interval '1 second', min(xact_start) - interval '1 microsecond')
    FROM pg_stat_activity
    WHERE usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()
""")
_BALANCES = """
    SELECT account, currency, CAST(sum(amount) AS bigint) AS amount FROM ledger_entries
    WHERE merchant_id = :merchant_id {until} GROUP BY currency, account ORDER BY currency, account
"""
_BALANCES_NOW, _BALANCES_AT = text(_BALANCES.format(until="")), text(_BALANCES.format(until="AND created_at <= :at"))
_TRIAL = """
    SELECT currency, CAST(COALESCE(sum(amount) FILTER (WHERE amount > 0), 0) AS bigint) AS debits,
           CAST(COALESCE(-sum(amount) FILTER (WHERE amount < 0), 0) AS bigint) AS credits
    FROM ledger_entries {whose} GROUP BY currency ORDER BY currency
"""
_TRIAL_OF_ALL, _TRIAL_OF_ONE = text(_TRIAL.format(whose="")), text(_TRIAL.format(whose="WHERE merchant_id = :id"))
_FILTERS = {
    "payment_id": "payment_id = :payment_id",
    "account": "account = :account",
    "currency": "currency = :currency",
    "created_after": "created_at >= :created_after",
    "created_before": "created_at < :created_before",
    "before": "id < :before",
}


@dataclass(frozen=True, slots=True)
class Balance:
    """The sum of an account's entries in a currency, minor units, a debit positive."""

    account: LedgerAccount
    currency: str
    amount: int


@dataclass(frozen=True, slots=True)
class Sums:
    """All debits and all credits in a currency, minor units, both positive."""

    currency: str
    debits: int
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """An entry as it stands in the books. `amount` is in minor units, a debit positive."""

    id: UUID
    journal_id: UUID
    merchant_id: UUID
    kind: JournalKind
    account: LedgerAccount
    amount: int
    currency: str
    payment_id: UUID
    transaction_id: UUID
    processor_reference: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries a list holds; None takes all. Times are UTC, the first included, the second not."""

    payment_id: UUID | None = None
    account: LedgerAccount | None = None
    currency: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def set_fields(self) -> dict[str, Any]:
        """The fields that narrow the list."""
        fields = {name: getattr(self, name) for name in EntryFilter.__slots__}
        return {name: value for name, value in fields.items() if value is not None}


def final_until(connection: Connection) -> datetime:
    """Returns the moment until which no entry can be added any more. The connection must be the writer's."""
    moment: datetime = connection.execute(_FINAL_UNTIL, {"lag_s": _LAG_S}).scalar_one()
    return moment


def read_balances(connection: Connection, merchant_id: UUID, at: datetime | None) -> list[Balance]:
    """Sums up the entries booked until `at`, or all of them, by currency and account."""
    statement, values = (_BALANCES_NOW, {}) if at is None else (_BALANCES_AT, {"at": at})
    rows = connection.execute(statement, {"merchant_id": merchant_id} | values)
    return [Balance(LedgerAccount(row.account), row.currency, row.amount) for row in rows]


def read_trial_balance(connection: Connection, merchant_id: UUID | None) -> list[Sums]:
    """Sums up a merchant's entries, or everybody's, by currency."""
    statement, values = (_TRIAL_OF_ALL, {}) if merchant_id is None else (_TRIAL_OF_ONE, {"id": merchant_id})
    return [Sums(**row) for row in connection.execute(statement, values).mappings()]


def list_entries(
    connection: Connection, merchant_id: UUID, wanted: EntryFilter, before: UUID | None, size: int
) -> list[LedgerEntry]:
    """Reads at most `size` entries, newest first, older than the id `before`."""
    values = wanted.set_fields() | ({} if before is None else {"before": before})
    conditions = " AND ".join(["merchant_id = :merchant_id", *(_FILTERS[name] for name in values)])
    columns = ", ".join(LedgerEntry.__slots__)
    statement = text(f"SELECT {columns} FROM ledger_entries WHERE {conditions} ORDER BY id DESC LIMIT :size")
    rows = connection.execute(statement, {"merchant_id": merchant_id, "size": size} | values).mappings()
    return [
        LedgerEntry(**row | {"kind": JournalKind(row["kind"]), "account": LedgerAccount(row["account"])})
        for row in map(dict, rows)
    ]
