"""Stored decisions as input of `kassa rules backtest --stored`. Set on the command line's context by `cli`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Engine, RowMapping
from sqlalchemy.exc import OperationalError

from fraud_rules.admission import FactError, admit
from fraud_rules.backtest import DataError, Label, Opened, Payment, Progress
from fraud_rules.backtest.payments import micros
from fraud_rules.facts import Fact
from fraud_rules.velocity import LAST
from server.domain.errors import InvalidField
from server.domain.ids import Prefix, parse_id, render_id
from server.storage.engine import make_engine
from server.storage.past_payments import Range, read_last_time, stream_payments

_NAME: Final = "stored decisions"
_EVERY: Final = 1_000


class StoredDecisions:
    """Gives a backtest what this gateway has stored."""

    def __init__(self, reader_url: Callable[[], str]) -> None:
        """Args: reader_url: Returns the DSN of the role that may only read; called when it is wanted."""
        self._reader_url = reader_url

    def stored_payments(self, since: datetime, until: datetime | None, merchant: str | None) -> "StoredPayments":
        """Returns the payments made from `since` on and before `until`.

        Raises:
            ValueError: `merchant` is no merchant's id.
        """
        try:
            merchant_id = parse_id(Prefix.MERCHANT, merchant, "merchant") if merchant else None
        except InvalidField as error:
            raise ValueError(str(error)) from None
        return StoredPayments(self._reader_url(), Range(since, until, merchant_id))


@dataclass(frozen=True, slots=True)
class StoredPayments:
    """A range of stored payments, and as much of what was before it as the rules' windows reach back."""

    reader_url: str
    range: Range

    def open(self, words: Mapping[str, Fact], needed: Iterable[str], reach_s: int | None) -> Opened:
        """Looks up how far the range goes; the rest is read as the payments are walked."""
        engine = make_engine(self.reader_url, 1)
        try:
            with engine.connect() as connection:
                last = read_last_time(connection, self.range.merchant_id)
        except OperationalError as error:
            raise DataError(_NAME, 0, "", "the database cannot be reached") from error
        finally:
            engine.dispose()
        since = self.range.since
        assert since is not None
        begin = None if reach_s is None else since - timedelta(seconds=reach_s)
        walk = _Walk(self.reader_url, Range(begin, self.range.until, self.range.merchant_id), words, set(needed))
        return Opened(
            _NAME,
            lambda progress: walk.payments(since, last, progress),
            lambda: tuple(name for name in words if name in walk.unseen and name not in {"amount_usd"}),
            (
                "Facts are those that the gateway knew when it decided; what it did not know then stays unknown, also "
                "where it would know it today. Entries of run-time lists are as they were at the decision.",
                "Payments count as approved or declined by what became of them in the end.",
            ),
            micros(since),
        )


class _Walk:
    """Reads the payments once, and keeps in mind which needed facts none of them brought."""

    def __init__(self, reader_url: str, wanted: Range, words: Mapping[str, Fact], needed: set[str]) -> None:
        self._reader_url, self._wanted, self._words = reader_url, wanted, words
        self.unseen = needed

    def payments(self, since: datetime, last: datetime | None, progress: Progress) -> Iterator[Payment]:
        """Yields them in the order of time.

        Raises:
            DataError: The database cannot be reached, or stored facts do not fit today's vocabulary.
        """
        engine: Engine = make_engine(self._reader_url, 1)
        span = (last - since).total_seconds() if last is not None else 0
        try:
            with engine.connect() as connection:
                for count, row in enumerate(stream_payments(connection, self._wanted), 1):
                    yield self._payment(count, row)
                    if count % _EVERY == 0 and span > 0:
                        progress(max(0.0, min(1.0, (row["created_at"] - since).total_seconds() / span)))
        except OperationalError as error:
            raise DataError(_NAME, 0, "", "the database cannot be reached any more") from error
        finally:
            engine.dispose()

    def _payment(self, place: int, row: RowMapping) -> Payment:
        try:
            facts = admit(row["facts"], self._words)
        except FactError as error:
            raise DataError(_NAME, place, "", f"stored facts do not fit: {error}") from error
        if self.unseen:
            self.unseen -= facts.keys()
        merchant: UUID = row["merchant_id"]
        return Payment(
            place,
            micros(row["created_at"]),
            render_id(Prefix.MERCHANT, merchant),
            {"amount": row["amount"], "currency": row["currency"], **facts},
            row["amount"],
            row["currency"],
            None if row["label"] is None else Label(row["label"].lower()),
            row["approved"],
            bool(row["declined"]),
            bool(row["blocked"]),
            _micros(row["refunded_at"]),
            _micros(row["disputed_at"]),
            _micros(row["warned_at"]),
            row["refunded"],
            _said(row),
            "test" if row["test_mode"] else "",
        )


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def _said(row: RowMapping) -> Mapping[str, str] | None:
    said = {name: word for name, word in (row["checks"] or {}).items() if name in LAST and word}
    if row["declined"]:
        said["decline_code"] = row["decline_code"].lower()
    return said or None
