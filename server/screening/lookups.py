"""The tables of one server, loaded; `facts` looks up in them. Made by `bootstrap` from the settings."""

from dataclasses import dataclass
from pathlib import Path

from server.screening.bin_table import BinTable, load_bins
from server.screening.ip_table import IpTable, load_ips


@dataclass(frozen=True, slots=True)
class Tables:
    """Where BINs and addresses are looked up."""

    bins: BinTable
    ips: IpTable


NO_TABLES = Tables(BinTable(), IpTable())


def load_tables(bins: Path | None, ips: Path | None) -> Tables:
    """Reads the tables; None reads a sample, which knows nothing of the real world.

    Raises:
        TableError: Naming file and line.
    """
    return Tables(load_bins(bins), load_ips(ips))
