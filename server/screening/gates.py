"""What a version must pass before it may decide. Called by servers, and by `kassa rules promote` before it writes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from fraud_rules import Problem, RulesError, Ruleset, ScreeningFailure, Sources, check_sources, load_sources
from fraud_rules.trial import try_in_child
from server.domain.rulesets import Role, Version

__all__ = ["Accept", "Alarm", "Gates", "RulesError"]

Accept = Callable[[Ruleset], Sequence[Problem]]
Alarm = Callable[[Role, ScreeningFailure], None]
Trial = Callable[[Sources, int | None], None]


class Gates:
    """Checks, tests and loads versions.

    Args:
        accept: Says what this server cannot do for a ruleset; problems keep it out.
        alarm: Called when a ruleset in some role fails on a payment.
        block_threshold: This server's own, in thousandths; it makes a version of its own of each that is released.
        trial: Loads sources elsewhere first, and raises what comes of it.
    """

    def __init__(
        self, accept: Accept, alarm: Alarm, *, block_threshold: int | None = None, trial: Trial = try_in_child
    ) -> None:
        self._accept, self.alarm, self._block_threshold, self._trial = accept, alarm, block_threshold, trial

    def load(self, sources: Sources, role: Role, *, trial: bool = True) -> Ruleset:
        """Checks, runs the own tests, compares both back ends on the replay corpus, and asks what this server can do.

        All of it happens in a child process first, unless `trial` is False, so that rules that kill or hang the engine
        kill or hang only that. Takes up to seconds.

        Raises:
            RulesError: A gate is closed; nothing stays loaded.
        """
        if trial:
            self._trial(sources, self._block_threshold)
        ruleset = load_sources(sources, on_failure=partial(self.alarm, role), block_threshold=self._block_threshold)
        problems = self._accept(ruleset)
        if problems:
            ruleset.close()
            raise RulesError(problems)
        return ruleset

    def own_version(self, sources: Sources) -> Version:
        """Returns the version that this server makes of sources: that with its threshold, where it has one.

        Raises:
            RulesError: The sources are not sound.
        """
        own = self._block_threshold
        return _version(sources if own is None else replace(sources, block_threshold=own))


def released_version(sources: Sources) -> Version:
    """Returns the version that is released of sources: as the files say it, whatever a server's own threshold is.

    Raises:
        RulesError: The sources are not sound.
    """
    return _version(replace(sources, block_threshold=None))


def version_of(ruleset: Ruleset) -> Version:
    """Returns the version that a loaded ruleset is."""
    return Version(ruleset.hash, ruleset.sources.name, ruleset.sources.to_json())


def sources_of(version: Version) -> Sources:
    """Reads a version's sources.

    Raises:
        RulesError: What is kept are not the sources of a ruleset.
    """
    try:
        return Sources.from_json(version.sources)
    except ValueError as error:
        raise RulesError([Problem(version.name, 0, 0, f"version {version.hash[:12]}: {error}")]) from error


def _version(sources: Sources) -> Version:
    checked = check_sources(sources)
    return Version(checked.hash, sources.name, checked.sources.to_json())
