"""Lists of values in text files, which rules name with `list("name")`. Parsed by `loading`, asked by `parser`."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from fraud_rules.errors import Problem, RulesError
from fraud_rules.facts import MAX_TEXT, Case, Fact

Lists = Mapping[str, tuple[str, ...]]
"""Entries by the list's name, in the order of the file."""

Network = IPv4Network | IPv6Network

MAX_BYTES = 10_000_000


def parse_lists(contents: Mapping[str, bytes]) -> Lists:
    """Reads lists by their names: one value a line; `#` starts a comment line, or follows two spaces.

    Raises:
        RulesError: A list is not UTF-8 text, is over 10 MB, or holds an entry of more than 1,024 characters or with a
            null character; the problems call it `lists/NAME.txt`.
    """
    return {name: _entries(content, f"lists/{name}.txt") for name, content in contents.items()}


def _entries(content: bytes, file: str) -> tuple[str, ...]:
    if len(content) > MAX_BYTES:
        raise RulesError([Problem(file, 0, 0, f"the list has more than {MAX_BYTES:,} bytes", "split it")])
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise RulesError([Problem(file, line, column, "the list is not UTF-8", "save it as UTF-8")]) from error
    bad = [problem for number, line in enumerate(lines, 1) if (problem := _bad(file, number, line)) is not None]
    if bad:
        raise RulesError(bad)
    values = (line.partition("  #")[0].strip() for line in lines if not line.lstrip().startswith("#"))
    return tuple(dict.fromkeys(value for value in values if value))


def _bad(file: str, number: int, line: str) -> Problem | None:
    if len(line) > MAX_TEXT:
        message = f"the entry has {len(line):,} characters; the limit is {MAX_TEXT:,}"
        return Problem(file, number, MAX_TEXT + 1, message, "facts are cut there")
    if "\0" in line:
        return Problem(file, number, line.index("\0") + 1, "the entry holds a null character", "save it as UTF-8")
    return None


def entries_for(word: Fact, entries: Iterable[str]) -> tuple[frozenset[str], tuple[Network, ...]]:
    """Splits entries into whole values, in the fact's case, and for addresses networks such as `203.0.113.0/24`.

    Raises:
        ValueError: An entry for an address has a slash and is no network.
    """
    entries = tuple(entries)
    ranges = tuple(entry for entry in entries if word.case is Case.ADDRESS and "/" in entry)
    values = frozenset(word.normalise(entry) for entry in frozenset(entries).difference(ranges))
    return values, tuple(ip_network(entry, strict=False) for entry in ranges)


class Networks:
    """Networks that are asked by length of their prefix, so that asking thousands costs no more than a few."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._by_prefix: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            prefixes = self._by_prefix.setdefault((network.version, shift), set())
            prefixes.add(int(network.network_address) >> shift)

    def contain(self, address: str) -> bool:
        """Says whether an address lies in any of the networks; what is no address lies in none."""
        if not self._by_prefix:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        number, version = int(parsed), parsed.version
        return any(number >> shift in found for (of, shift), found in self._by_prefix.items() if of == version)
