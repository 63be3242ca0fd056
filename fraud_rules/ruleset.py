"""A loaded ruleset: facts of one payment in, a decision out. Made by `loading`; this is what a gateway calls."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from fraud_rules.admission import FactError, admit, with_usd
from fraud_rules.decision import CURRENCY_WITHOUT_RATE, MAX_SCORE, SCREENING_FAILED, Backend, Decision, Outcome
from fraud_rules.engine import Engine, EngineError
from fraud_rules.errors import Problem
from fraud_rules.evaluator import Evaluate, compile_conditions
from fraud_rules.expressions import Condition, facts_of, memberships_of
from fraud_rules.facts import Fact, Facts, Value
from fraud_rules.rates import Rates
from fraud_rules.rules import Action, Mode, Rule, RuleFile, Thresholds, words_of
from fraud_rules.runtime_lists import EMPTY, RuntimeLists
from fraud_rules.share import in_share
from fraud_rules.sources import Sources
from fraud_rules.velocity import VelocityFact

# In this order, whatever the scores: the first that a live rule asks for is the outcome.
_ACTIONS = (
    (Action.ALLOW, Outcome.ALLOW),
    (Action.BLOCK, Outcome.BLOCK),
    (Action.CHALLENGE, Outcome.CHALLENGE),
    (Action.REVIEW, Outcome.REVIEW),
)
_EVALUATION_ERRORS = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class ScreeningFailure:
    """Something inside failed and the decision was made without it.

    Attributes:
        part: `facts`, `engine` or `evaluator`.
        detail: What it said; holds no value of any fact.
    """

    part: str
    ruleset_hash: str
    detail: str


OnFailure = Callable[[ScreeningFailure], None]


class Ruleset:
    """Rules ready to decide. Safe to share between threads; `close` releases the engine.

    Attributes:
        name: As the file calls it.
        hash: SHA-256 over rules, lists and rates, in hexadecimal: the ruleset's identity.
        sources: What it is made of; loaded again, they make the same ruleset.
        rules: Every rule of the file, in order.
        thresholds: In thousandths; a merchant may have its own, see `RuleFile.thresholds_for`.
        velocity: The windows over the past that its rules ask for, in order of their names, each once.
        lists: The lists that its rules name, in order of their names, each once.
        asked: Names of the facts that its rules mention.
        rates: What amounts are converted with; sums over the past are in US cents by these rates too.
        warnings: What `check` had to say about the file.
    """

    def __init__(  # noqa: PLR0913 - the parts that loading has made and checked, each named
        self,
        file: RuleFile,
        *,
        ruleset_hash: str,
        sources: Sources,
        rates: Rates,
        engine: Engine | None,
        warnings: Sequence[Problem] = (),
        on_failure: OnFailure | None = None,
    ) -> None:
        """Takes a checked file; without an engine the evaluator decides."""
        self.name, self.hash, self.sources, self.rates = file.name, ruleset_hash, sources, rates
        self.rules, self.thresholds, self.warnings = file.rules, file.thresholds, tuple(warnings)
        self._file, self._engine, self._on_failure = file, engine, on_failure
        self._watched = tuple(rule for rule in file.rules if rule.mode is not Mode.OFF)
        self._evaluate: Evaluate = compile_conditions(conditions_of(file))
        conditions = conditions_of(file)
        asked = {fact.name: fact for condition in conditions for fact in facts_of(condition)}
        windows = {fact.velocity for fact in asked.values() if fact.velocity}
        self.velocity: tuple[VelocityFact, ...] = tuple(sorted(windows, key=lambda window: window.name))
        self.asked: Set[str] = frozenset(asked)
        self._uses_usd = "amount_usd" in asked
        self._words: Mapping[str, Fact] = words_of(file.conditions, file.metadata)
        named = {listed.name: one for each in conditions for one in memberships_of(each) if (listed := one.listed)}
        self._listed = tuple((name, one.list_name, one.fact.word) for name, one in named.items())
        self.lists: tuple[str, ...] = tuple(sorted({list_name for _, list_name, _ in self._listed}))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What is evaluated for each payment: `applies_to`, where there is one, then each rule that is not off."""
        return conditions_of(self._file)

    @property
    def words(self) -> Mapping[str, Fact]:
        """The facts that `decide` takes: the vocabulary, declared metadata, and what rules ask for, also those off."""
        return MappingProxyType(dict(self._words))

    @property
    def file(self) -> RuleFile:
        """What the rule file says."""
        return self._file

    def decide(
        self,
        facts: Facts,
        runtime: RuntimeLists = EMPTY,
        at: datetime | None = None,
        snoozed: Set[str] = frozenset(),
    ) -> Decision:
        """Decides on one payment; raises nothing, and where it cannot decide the outcome is REVIEW.

        Args:
            facts: By name, units as in the vocabulary; what is unknown is None, empty, or left out.
            runtime: The entries of lists that people added. What was found in them is among the decision's facts, as
                `listed_…`; where `facts` has such a fact already, that counts, so that a decision can be replayed.
            at: The moment at which entries must not have expired; None for now.
            snoozed: Ids of rules that are silent: where one fires it is told of, and has no effect.
        """
        try:
            known, without_rate = self._known(facts, runtime, at)
        except FactError as error:
            self._report("facts", error)
            return self._undecided({})
        try:
            fired, backend = self._fired(known)
        except _EVALUATION_ERRORS as error:
            self._report("evaluator", error)
            return self._undecided(known)
        return self.settle(fired, known, without_rate, backend, snoozed)

    def settle(
        self,
        fired: Set[int],
        known: Mapping[str, Value],
        without_rate: bool,
        backend: Backend = Backend.EVALUATOR,
        snoozed: Set[str] = frozenset(),
    ) -> Decision:
        """Says what comes of a payment once it is known which conditions hold; raises nothing.

        Args:
            fired: Indexes into `conditions`.
            known: The facts as admission leaves them, with `amount_usd`.
            without_rate: The payment's currency has no rate.
            backend: Who found out.
            snoozed: As for `decide`.
        """
        if self._file.applies_to is not None and 0 not in fired:
            return self._decision(Outcome.ALLOW, 0, (), (), known, False, backend)
        return self._settle(fired, known, without_rate and self._uses_usd, backend, snoozed)

    def truths(
        self, facts: Facts, runtime: RuntimeLists = EMPTY, at: datetime | None = None
    ) -> Mapping[str, bool | None]:
        """Says by the evaluator whether each rule's condition is true, false or unknown (None), by the rule's id.

        Raises:
            FactError: A fact is of a wrong type or out of range.
        """
        known, _ = self._known(facts, runtime, at)
        truths = self._evaluate(known)[self._offset :]
        return {rule.id: truth for rule, truth in zip(self._watched, truths, strict=True)}

    def close(self) -> None:
        """Releases the engine; from then on the evaluator decides. Closing twice does nothing."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    @property
    def _offset(self) -> int:
        return 0 if self._file.applies_to is None else 1

    def _known(self, facts: Facts, runtime: RuntimeLists, at: datetime | None) -> tuple[Mapping[str, Value], bool]:
        """Returns what the rules see, and whether the payment's currency has no rate."""
        admitted = admit(facts, self._words)
        for name, list_name, word in self._listed:
            value = admitted.get(word.name)
            if value is not None and name not in admitted:
                merchant = str(admitted.get("merchant", ""))
                admitted[name] = runtime.contains(list_name, word, str(value), merchant, at or datetime.now(UTC))
        return with_usd(admitted, self.rates)

    def _fired(self, known: Mapping[str, Value]) -> tuple[Set[int], Backend]:
        engine = self._engine
        if engine is not None:
            try:
                return engine.match(known), Backend.ENGINE
            except EngineError as error:
                if self._engine is not None:  # closed meanwhile is no failure
                    self._report("engine", error)
        truths = self._evaluate(known)
        return {index for index, truth in enumerate(truths) if truth}, Backend.EVALUATOR

    def _settle(
        self, fired: Set[int], known: Mapping[str, Value], without_rate: bool, backend: Backend, snoozed: Set[str]
    ) -> Decision:
        live: list[Rule] = []
        shadow: list[str] = []
        silent: list[str] = []
        merchant = known.get("merchant")
        for index, rule in enumerate(self._watched, self._offset):
            if index in fired and self._file.concerns(rule, merchant):
                if rule.mode is not Mode.LIVE or not in_share(rule.id, known, rule.percent):
                    shadow.append(rule.id)
                elif rule.id in snoozed:
                    silent.append(rule.id)
                else:
                    live.append(rule)
        score = min(max(0, sum(rule.score_thousandths for rule in live)), MAX_SCORE)
        outcome, allowed = _outcome(live, score, self._file.thresholds_for(merchant))
        ids = [rule.id for rule in live]
        if without_rate:
            ids.append(CURRENCY_WITHOUT_RATE)
            if outcome in (Outcome.ALLOW, Outcome.CHALLENGE) and not allowed:
                outcome = Outcome.REVIEW
        return self._decision(outcome, score, tuple(ids), tuple(shadow), known, True, backend, tuple(silent))

    def _undecided(self, known: Mapping[str, Value]) -> Decision:
        return self._decision(Outcome.REVIEW, 0, (SCREENING_FAILED,), (), known, True, Backend.NOBODY)

    def _decision(  # noqa: PLR0913, PLR0917 - the fields that differ from payment to payment
        self,
        outcome: Outcome,
        score: int,
        fired: tuple[str, ...],
        shadow: tuple[str, ...],
        known: Mapping[str, Value],
        applied: bool,
        backend: Backend,
        snoozed: tuple[str, ...] = (),
    ) -> Decision:
        facts = MappingProxyType(dict(known))
        return Decision(outcome, score, fired, shadow, self.name, self.hash, facts, applied, backend, snoozed)

    def _report(self, part: str, error: Exception) -> None:
        if self._on_failure is not None:
            detail = str(error) if isinstance(error, FactError | EngineError) else type(error).__name__
            self._on_failure(ScreeningFailure(part, self.hash, detail))


def conditions_of(file: RuleFile) -> tuple[Condition, ...]:
    """Returns what the back ends evaluate: `applies_to`, where there is one, then each rule that is not off."""
    applies_to = () if file.applies_to is None else (file.applies_to,)
    return (*applies_to, *(rule.condition for rule in file.rules if rule.mode is not Mode.OFF))


def _outcome(live: Sequence[Rule], score: int, thresholds: Thresholds) -> tuple[Outcome, bool]:
    """Returns the outcome, and whether an `allow` rule has settled it."""
    asked = {rule.action for rule in live}
    for action, outcome in _ACTIONS:
        if action in asked:
            return outcome, action is Action.ALLOW
    reached = (
        (thresholds.block, Outcome.BLOCK),
        (thresholds.review, Outcome.REVIEW),
        (thresholds.challenge, Outcome.CHALLENGE),
    )
    for threshold, outcome in reached:
        if threshold is not None and score >= threshold:
            return outcome, False
    return Outcome.ALLOW, False
