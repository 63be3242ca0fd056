"""Lists of values in text files, which rules name with `list("name")`. Read by `loading`, asked by `parser`."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from fraud_rules.errors import Problem, RulesError
from fraud_rules.facts import MAX_TEXT

Lists = Mapping[str, tuple[str, ...]]
"""Entries by the list's name, in the order of the file."""

MAX_BYTES = 10_000_000


def read_lists(folder: Path) -> Lists:
    """Reads every `*.txt` of a folder: one value a line; `#` starts a comment line, or follows two spaces.

    Raises:
        RulesError: A file is not UTF-8 text, is over 10 MB, or holds an entry of more than 1,024 characters.
    """
    if not folder.is_dir():
        return {}
    return {path.stem: _entries(path) for path in sorted(folder.glob("*.txt"))}


def _entries(path: Path) -> tuple[str, ...]:
    content = path.read_bytes()
    if len(content) > MAX_BYTES:
        raise RulesError([Problem(str(path), 0, 0, f"the list has {len(content):,} bytes; the limit is {MAX_BYTES:,}")])
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RulesError([Problem(str(path), line, 0, "the list is not UTF-8", "save it as UTF-8")]) from error
    long = [
        Problem(str(path), number, 0, f"the entry has {len(line):,} characters; the limit is {MAX_TEXT:,}")
        for number, line in enumerate(lines, 1)
        if len(line) > MAX_TEXT
    ]
    if long:
        raise RulesError(long)
    values = (line.partition("  #")[0].strip() for line in lines if not line.lstrip().startswith("#"))
    return tuple(dict.fromkeys(value for value in values if value))


def entries_for(fact: str, entries: Iterable[str]) -> tuple[frozenset[str], tuple[IPv4Network | IPv6Network, ...]]:
    """Splits entries into whole values and, for `ip`, networks such as `203.0.113.0/24`.

    Raises:
        ValueError: An entry for `ip` has a slash and is no network.
    """
    entries = tuple(entries)
    ranges = tuple(entry for entry in entries if fact == "ip" and "/" in entry)
    return frozenset(entries).difference(ranges), tuple(ip_network(entry, strict=False) for entry in ranges)
