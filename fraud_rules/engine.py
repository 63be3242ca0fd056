"""The durable-rules engine as a stateless matcher: facts of one payment in, indexes of the rules that fire out.

Called by `ruleset` and `agreement`. It drives the package's C module, not its `Host`, which mutates its input, leaks,
runs timer threads and swallows exceptions (https://github.com/jruizgit/rules). One evaluation asserts the payment as a
fact, drains the rules that fire, and retracts it.
"""

import itertools
import threading
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Final

import durable_rules_engine as durable

from fraud_rules.compiler import WARM_UP, Program, Shard
from fraud_rules.evaluator import compile_conditions
from fraud_rules.facts import MAX_INTEGER, MAX_TEXT, Value

_UNMATCHED: Final = 1
_OK: Final = (0, _UNMATCHED)
_names = itertools.count()


class EngineError(Exception):
    """The engine gave no answer that can be trusted; the evaluator has to stand in."""


class Matcher:
    """One handle of the engine. Safe to share between threads: the C code is not, so a lock admits one at a time."""

    def __init__(self, shard: Shard) -> None:
        """Loads the shard's rules, about 0.7 MB each.

        Raises:
            EngineError: The engine refuses the rules.
        """
        self._shard = shard
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._load()

    def match(self, facts: str) -> set[int]:
        """Returns the indexes of the rules that fire.

        Args:
            facts: The members of a JSON object, each as `"name":value`, separated by commas; may be empty.

        Raises:
            EngineError: The engine failed and was reset, or is closed.
        """
        with self._lock:
            if self._handle is None:
                raise EngineError("the engine is closed")
            try:
                return {int(name.removeprefix("r")) for name in self._fired(facts)}
            except (durable.error, ArithmeticError, LookupError, TypeError, ValueError, MemoryError) as error:
                self._reset()
                raise EngineError(f"evaluation failed: {error}") from error

    def close(self) -> None:
        """Releases the handle; waits for an evaluation under way. Closing twice does nothing."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                durable.delete_state(handle, None)
                durable.delete_ruleset(handle)

    def _load(self) -> None:
        try:
            # The string that carries the definition is written to while it is parsed, so it is a fresh copy.
            self._handle = durable.create_ruleset(f"kassa{next(_names)}", f"{self._shard.definition} ")
            self._warm_up()
        except (durable.error, ValueError, MemoryError) as error:
            # A handle in which nothing ever fired is left alone: deleting it can crash.
            raise EngineError(f"the engine refuses the rules: {error}") from error

    def _warm_up(self) -> None:
        """Fires one rule: deleting a state in which none ever ran crashes the process."""
        if WARM_UP not in self._fired(f'"{WARM_UP}":1'):
            raise ValueError("the warm-up rule did not fire")

    def _reset(self) -> None:
        """Starts over with an empty state; where even that fails, the handle is given up."""
        try:
            durable.delete_state(self._handle, None)
            self._warm_up()
        except (durable.error, ValueError, MemoryError):
            self._handle = None

    def _fired(self, facts: str) -> list[str]:
        message = f'{{"pid":1,"id":"1",{facts}}}' if facts else '{"pid":1,"id":"1"}'
        result, state = durable.assert_fact(self._handle, message)
        if result not in _OK:
            raise ValueError(f"the engine answered {result}")
        fired = self._drain(state) if result != _UNMATCHED else []
        durable.retract_fact(self._handle, message)
        return fired

    def _drain(self, state: int) -> list[str]:
        fired: list[str] = []
        started = durable.start_action_for_state(self._handle, state)
        action = started[1] if started else None
        while action is not None:
            # It is `{"r7":{"m":…}}` with the whole payment in it, of which only the name is worth reading.
            fired.append(action[2 : action.index('"', 2)])
            if len(fired) > self._shard.max_firings + 1:
                raise ValueError("the engine fires without end")
            action = durable.complete_and_start_action(self._handle, state)
        return fired


class Engine:
    """A program in the engine, one `Matcher` a shard."""

    def __init__(self, program: Program) -> None:
        """Loads every shard.

        Raises:
            EngineError: The engine refuses one; what was loaded is released.
        """
        self._computed = tuple(program.computed)
        self._compute = compile_conditions(tuple(program.computed.values()))
        self._names = frozenset[str]().union(*(shard.facts for shard in program.shards))
        self._shards: list[tuple[frozenset[str], Matcher]] = []
        try:
            for shard in program.shards:
                self._shards.append((shard.facts, Matcher(shard)))
        except EngineError:
            self.close()
            raise

    def match(self, facts: Mapping[str, Value]) -> set[int]:
        """Returns the indexes of the conditions that are true.

        Args:
            facts: Known facts as `admission` leaves them; each shard is given only the names that its rules mention.

        Raises:
            EngineError: A shard failed.
        """
        written = {name: _written(name, facts[name]) for name in self._names if name in facts}
        for name, truth in zip(self._computed, self._compute(facts), strict=True):
            if truth is not None:
                written[name] = f'"{name}":{"true" if truth else "false"}'
        fired: set[int] = set()
        for names, matcher in self._shards:
            fired |= matcher.match(",".join([written[name] for name in names if name in written]))
        return fired

    def close(self) -> None:
        """Releases every handle. Closing twice does nothing."""
        for _, matcher in self._shards:
            matcher.close()


def _written(name: str, value: Value) -> str:
    """Writes a fact as a member of a JSON object, and keeps from the engine what it is known to misread."""
    if value is True or value is False:
        return f'"{name}":{"true" if value else "false"}'
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        return f'"{name}":{encode_basestring_ascii(value)}'
    if isinstance(value, int) and -MAX_INTEGER <= value <= MAX_INTEGER:
        return f'"{name}":{value:d}'
    raise EngineError("a fact is beyond what the engine reads right")
