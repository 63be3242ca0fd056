"""The ruleset in force, and its replacement while payments go on. The server owns one and calls `refresh` on a tick."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fraud_rules.decision import Decision
from fraud_rules.errors import Problem, RulesError
from fraud_rules.facts import Facts
from fraud_rules.loading import load_sources
from fraud_rules.ruleset import OnFailure, Ruleset
from fraud_rules.sources import LISTS, RATES, Sources, read_sources

Trial = Callable[[Sources, int | None], None]
Accept = Callable[[Ruleset], Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """A new ruleset is in force."""

    old_hash: str
    new_hash: str
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """The files changed and are not sound, or not accepted; the ruleset of `hash_in_force` goes on deciding."""

    hash_in_force: str
    problems: tuple[Problem, ...]


_Stamp = tuple[tuple[str, int, int, int], ...]


class RulesetHolder:
    """Holds the ruleset in force. `decide` may be called from any thread, `refresh` and `adopt` from one at a time.

    Attributes:
        ruleset: The one in force; ask anew for each payment, since a swap closes the old one.
    """

    def __init__(  # noqa: PLR0913 - the files, and what to do at each step of a swap
        self,
        path: Path | str,
        *,
        lists: Path | None = None,
        rates: Path | None = None,
        on_failure: OnFailure | None = None,
        trial: Trial | None = None,
        accept: Accept | None = None,
        block_threshold: int | None = None,
    ) -> None:
        """Loads the first ruleset.

        Args:
            path, lists, rates, on_failure, block_threshold: As for `load_ruleset`.
            trial: Called before each reload with the sources and `block_threshold`, such as `trial.try_in_child`; not
                for the first ruleset, where there is nothing yet that a killed process could lose.
            accept: Called with each loaded ruleset before it is in force; problems that it returns keep it out.

        Raises:
            RulesError: The file is not sound, or not accepted; there is nothing to fall back on.
        """
        self._path, self._lists, self._rates = Path(path), lists, rates
        self._on_failure, self._trial, self._accept = on_failure, trial, accept
        self._block_threshold = block_threshold
        self._stamp = self._look()
        self.ruleset: Ruleset = self._load(self._read())

    def decide(self, facts: Facts) -> Decision:
        """Decides by the ruleset in force: see `Ruleset.decide`."""
        return self.ruleset.decide(facts)

    def refresh(self) -> Reloaded | Rejected | None:
        """Takes up changed files; None where nothing changed. Costs some stat calls, or a load of up to seconds.

        A change that is not sound is reported once, and tried again when the files change again.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            sources = self._read()
        except RulesError as error:
            return Rejected(self.ruleset.hash, error.problems)
        return self.adopt(sources)

    def adopt(self, sources: Sources) -> Reloaded | Rejected | None:
        """Puts sources in force that came from elsewhere than the files; None where they already are."""
        old = self.ruleset
        try:
            if self._trial is not None:
                self._trial(sources, self._block_threshold)
            new = self._load(sources)
        except RulesError as error:
            return Rejected(old.hash, error.problems)
        if new.hash == old.hash:
            new.close()
            return None
        self.ruleset = new
        old.close()
        return Reloaded(old.hash, new.hash, new.warnings)

    def close(self) -> None:
        """Releases the ruleset in force; it can still decide, by the evaluator."""
        self.ruleset.close()

    def _read(self) -> Sources:
        return read_sources(self._path, lists=self._lists, rates=self._rates)

    def _load(self, sources: Sources) -> Ruleset:
        ruleset = load_sources(sources, on_failure=self._on_failure, block_threshold=self._block_threshold)
        problems = self._accept(ruleset) if self._accept is not None else ()
        if problems:
            ruleset.close()
            raise RulesError(problems)
        return ruleset

    def _look(self) -> _Stamp:
        """Returns what changes when a file is written or replaced."""
        lists = self._lists or LISTS
        stamps = []
        for path in (self._path, self._rates or RATES, lists, *sorted(lists.glob("*.txt"))):
            try:
                status = path.stat()
            except OSError:
                continue
            stamps.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(stamps)
