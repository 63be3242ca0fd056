"""The rule file that analysts edit, with the lists and rates beside it. Looked at by `usecases.follow_releases`."""

from pathlib import Path

from fraud_rules import Sources, read_sources
from fraud_rules.sources import LISTS, RATES

Stamp = tuple[tuple[str, int, int, int], ...]
"""What changes when one of the files is written, replaced, added or removed."""


class WatchedFile:
    """One rule file and what its rules may name; nothing is kept of their content."""

    def __init__(self, path: Path, *, lists: Path | None = None, rates: Path | None = None) -> None:
        self.path, self._lists, self._rates = path, lists, rates

    def stamp(self) -> Stamp:
        """Looks at the files without opening them."""
        lists = self._lists or LISTS
        stamps = []
        for path in (self.path, self._rates or RATES, lists, *sorted(lists.glob("*.txt"))):
            try:
                status = path.stat()
            except OSError:
                continue
            stamps.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(stamps)

    def read(self) -> Sources:
        """Reads all of them.

        Raises:
            RulesError: One cannot be read.
        """
        return read_sources(self.path, lists=self._lists, rates=self._rates)
