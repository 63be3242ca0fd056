"""What the address tells from which a payment came: its country, and whether it hides another. `facts` looks up."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from server.screening.bin_table import country_of
from server.screening.tables import TableRow, read_table

COLUMNS = ("network", "country", "proxy")
_PROXY = {"yes": True, "no": False, "": None}


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of an address; `country` is empty and `is_proxy` None where it is not known."""

    country: str = ""
    is_proxy: bool | None = None


NOT_KNOWN = Origin()
_Network = tuple[int, int, Origin]
"""First and last address as numbers, and what is said of them."""


class IpTable:
    """Networks, one within another: the innermost tells, and what it leaves open is told by the one around it."""

    def __init__(self, rows: Iterable[TableRow] = ()) -> None:
        """Takes the lines of a table.

        Raises:
            TableError: A line is wrong, or its network stands twice.
        """
        lines: dict[IPv4Network | IPv6Network, int] = {}
        networks: dict[int, list[_Network]] = {4: [], 6: []}
        for row in rows:
            network = _network(row)
            if network in lines:
                raise row.wrong(f"stands in line {lines[network]} already")
            lines[network] = row.line
            first, last = int(network.network_address), int(network.broadcast_address)
            networks[network.version].append((first, last, _origin(row)))
        self._starts: dict[int, list[int]] = {}
        self._origins: dict[int, list[Origin]] = {}
        for version, found in networks.items():
            pieces = _flattened(found)
            self._starts[version] = [start for start, _ in pieces]
            self._origins[version] = [origin for _, origin in pieces]

    def find(self, text: str) -> Origin:
        """Returns what is known of an address; of an IPv4 address also where it is written as IPv6."""
        try:
            address = ip_address(text)
        except ValueError:
            return NOT_KNOWN
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        at = bisect_right(self._starts[address.version], int(address)) - 1
        return self._origins[address.version][at] if at >= 0 else NOT_KNOWN


def load_ips(path: Path | None = None) -> IpTable:
    """Reads a table; None reads the sample, which knows the networks of documentation alone.

    Raises:
        TableError: Naming file and line.
    """
    return IpTable(read_table(path, "ips.csv", COLUMNS))


def _network(row: TableRow) -> IPv4Network | IPv6Network:
    try:
        return ip_network(row.fields["network"])
    except ValueError:
        raise row.wrong("network must be one such as 203.0.113.0/24 or 2001:db8::/32, no bit set after it") from None


def _origin(row: TableRow) -> Origin:
    proxy = row.fields["proxy"].lower()
    if proxy not in _PROXY:
        raise row.wrong("proxy must be yes, no, or empty")
    return Origin(country_of(row), _PROXY[proxy])


def _flattened(networks: list[_Network]) -> list[tuple[int, Origin]]:
    """Cuts networks into pieces that do not overlap: where each begins, and what holds from there on."""
    pieces: dict[int, Origin] = {}
    around: list[_Network] = []
    for first, last, origin in sorted(networks, key=lambda one: (one[0], -one[1])):
        _close(around, first, pieces)
        outer = around[-1][2] if around else NOT_KNOWN
        country = origin.country or outer.country
        inner = replace(
            origin, country=country, is_proxy=outer.is_proxy if origin.is_proxy is None else origin.is_proxy
        )
        pieces[first] = inner
        around.append((first, last, inner))
    _close(around, None, pieces)
    return sorted(pieces.items(), key=lambda piece: piece[0])


def _close(around: list[_Network], before: int | None, pieces: dict[int, Origin]) -> None:
    """Ends the networks that lie before an address; behind each, the one around it holds again."""
    while around and (before is None or around[-1][1] < before):
        _, last, _ = around.pop()
        pieces[last + 1] = around[-1][2] if around else NOT_KNOWN
