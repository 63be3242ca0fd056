"""Entries of lists that people add while payments run, as a snapshot. The server swaps it, `Ruleset.decide` asks it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network
from typing import Final

from fraud_rules.facts import Case, Fact
from fraud_rules.lists import Network, Networks


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One value on a list.

    Attributes:
        merchant: The merchant whose payments it counts for, as the fact `merchant` has it; empty for every merchant.
        value: As people wrote it; for addresses also a network such as `203.0.113.0/24`.
        expires_at: From when on it no longer counts; None for never.
    """

    list_name: str
    merchant: str
    value: str
    expires_at: datetime | None


class RuntimeLists:
    """All entries as of one moment. Immutable, and safe to share between threads."""

    def __init__(self, entries: Iterable[ListEntry]) -> None:
        """Sorts the entries by list and merchant; one that is no value of the fact asked for matches nothing."""
        self._entries: dict[tuple[str, str], list[ListEntry]] = {}
        self._indexes: dict[tuple[str, str, Case], _Index] = {}
        for entry in entries:
            self._entries.setdefault((entry.list_name, entry.merchant), []).append(entry)

    def contains(self, list_name: str, word: Fact, value: str, merchant: str, at: datetime) -> bool:
        """Says whether the value is on the list at a moment, for a merchant or for every one.

        Args:
            word: The fact that has the value; entries are compared in its case.
            value: As `admission` leaves it.
            merchant: Empty where it is unknown; then only what counts for every merchant is asked.
        """
        owners = ("", merchant) if merchant else ("",)
        return any(
            self._index(list_name, owner, word).contains(value, at)
            for owner in owners
            if (list_name, owner) in self._entries
        )

    def _index(self, list_name: str, merchant: str, word: Fact) -> "_Index":
        key = (list_name, merchant, word.case)
        index = self._indexes.get(key)
        if index is None:  # two threads may build the same one; either is right
            index = self._indexes[key] = _Index(self._entries[list_name, merchant], word)
        return index


class _Index:
    """One list of one merchant, for facts of one case."""

    def __init__(self, entries: Iterable[ListEntry], word: Fact) -> None:
        self._values: dict[str, datetime | None] = {}
        ranges: dict[datetime | None, list[Network]] = {}
        for entry in entries:
            network = _network(entry.value) if word.case is Case.ADDRESS and "/" in entry.value else None
            if network is not None:
                ranges.setdefault(entry.expires_at, []).append(network)
                continue
            value = word.normalise(entry.value.strip())
            known = self._values.get(value, entry.expires_at)
            later = None if known is None or entry.expires_at is None else max(known, entry.expires_at)
            self._values[value] = later
        self._ranges: Mapping[datetime | None, Networks] = {
            expires_at: Networks(networks) for expires_at, networks in ranges.items()
        }

    def contains(self, value: str, at: datetime) -> bool:
        if value in self._values and _counts(self._values[value], at):
            return True
        return any(_counts(expires_at, at) and found.contain(value) for expires_at, found in self._ranges.items())


def _counts(expires_at: datetime | None, at: datetime) -> bool:
    return expires_at is None or at < expires_at


def _network(text: str) -> Network | None:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


EMPTY: Final = RuntimeLists(())
