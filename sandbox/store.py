"""The sandbox's memory: typed records by account and id, kept in a file where asked; both processors' books use it.

Every change is in the file before its reply leaves, so that a killed sandbox has forgotten nothing it answered for.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pydantic import TypeAdapter


class Record(Protocol):
    """What a table keeps: any dataclass that names its account and its own id."""

    account: str
    id: str


R = TypeVar("R", bound=Record)


class Table(Generic[R]):
    """Records of one kind. `put` after every change: it is what marks a record for the file."""

    def __init__(self, name: str, kind: type[R]) -> None:
        self.name = name
        self._adapter = TypeAdapter(kind)
        self._rows: dict[str, dict[str, R]] = {}
        self._changed: dict[tuple[str, str], None] = {}

    def put(self, record: R) -> R:
        """Adds or replaces a record and returns it."""
        self._rows.setdefault(record.account, {})[record.id] = record
        self._changed[record.account, record.id] = None
        return record

    def remove(self, record: R) -> None:
        """Forgets a record."""
        if self._rows.get(record.account, {}).pop(record.id, None) is not None:
            self._changed[record.account, record.id] = None

    def keep_latest(self, account: str, count: int) -> None:
        """Forgets all but the account's latest `count` records."""
        rows = self._rows.get(account, {})
        while len(rows) > count:
            self.remove(next(iter(rows.values())))

    def get(self, account: str, key: str) -> R | None:
        """The record of that account with that id."""
        return self._rows.get(account, {}).get(key)

    def of(self, account: str) -> list[R]:
        """The account's records, oldest first."""
        return list(self._rows.get(account, {}).values())

    def all(self) -> list[R]:
        """Every account's records."""
        return [record for rows in self._rows.values() for record in rows.values()]

    def count(self) -> int:
        """How many records there are."""
        return sum(len(rows) for rows in self._rows.values())

    def forget(self, account: str) -> None:
        """Forgets all records of an account, here and at the next flush in the file."""
        for key in self._rows.pop(account, {}):
            self._changed[account, key] = None

    def changes(self) -> Iterator[tuple[str, str, bytes | None]]:
        """Yields account, id and JSON (None: removed) of what changed since the last call."""
        changed, self._changed = self._changed, {}
        for account, key in changed:
            record = self.get(account, key)
            yield account, key, None if record is None else self._adapter.dump_json(record)

    def forget_changes(self) -> None:
        """For a sandbox without a file."""
        self._changed.clear()

    def load(self, body: bytes) -> None:
        """Takes a record back from the file."""
        record = self._adapter.validate_json(body)
        self._rows.setdefault(record.account, {})[record.id] = record


class Store:
    """All tables, and the file that outlives the process.

    Args:
        path: SQLite file, made with mode 0600; None keeps everything in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._tables: dict[str, Table[Record]] = {}
        self._file = _open(path) if path else None
        self.salt = self.kept_bytes("salt") or secrets.token_bytes(32)
        self.keep_bytes("salt", self.salt)

    def table(self, name: str, kind: type[R]) -> Table[R]:
        """Makes a table and fills it from the file."""
        table = Table(name, kind)
        self._tables[name] = table  # type: ignore[assignment]  # a table of R is read here as one of Record
        if self._file:
            for (body,) in self._file.execute("SELECT body FROM record WHERE kind = ? ORDER BY sequence", (name,)):
                table.load(body)
        return table

    def flush(self) -> None:
        """Writes what changed, in one transaction."""
        if self._file is None:
            for table in self._tables.values():
                table.forget_changes()
            return
        with self._file:
            for table in self._tables.values():
                for account, key, body in table.changes():
                    self._write(table.name, account, key, body)

    def forget(self, account: str) -> None:
        """Forgets everything that belongs to an account."""
        for table in self._tables.values():
            table.forget(account)

    def kept_bytes(self, name: str) -> bytes | None:
        """A secret of the sandbox's own that the file holds, such as the key of its certificate authority."""
        if self._file is None:
            return None
        row = self._file.execute("SELECT body FROM kept WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def keep_bytes(self, name: str, body: bytes) -> None:
        """Keeps such a secret; without a file it lives as long as the process."""
        if self._file is not None:
            with self._file:
                self._file.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, body))

    def close(self) -> None:
        """Writes the rest and lets go of the file."""
        self.flush()
        if self._file is not None:
            self._file.close()

    def _write(self, kind: str, account: str, key: str, body: bytes | None) -> None:
        assert self._file is not None
        if body is None:
            self._file.execute("DELETE FROM record WHERE kind = ? AND account = ? AND id = ?", (kind, account, key))
            return
        self._file.execute(
            "INSERT INTO record (kind, account, id, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, account, id) DO UPDATE SET body = excluded.body",
            (kind, account, key, body),
        )


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    file = sqlite3.connect(path)
    # A killed process loses nothing; a power cut may lose the last moments, which a stand-in can bear.
    file.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;"
        "CREATE TABLE IF NOT EXISTS record (sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL,"
        " id TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (kind, account, id));"
        "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, body BLOB NOT NULL);"
    )
    return file
