"""From what was counted to what a report says of a ruleset. Called by `run`."""

from collections.abc import Mapping
from decimal import Decimal

from fraud_rules.backtest.report import RuleResult, RulesetResult, sums_of
from fraud_rules.backtest.tally import RulesetTally, RuleTally
from fraud_rules.decision import CURRENCY_WITHOUT_RATE, Outcome
from fraud_rules.rules import Mode, Rule, Thresholds
from fraud_rules.ruleset import Ruleset


def ruleset_result(ruleset: Ruleset, tally: RulesetTally, live: Ruleset | None) -> RulesetResult:
    """Makes the result of a ruleset; `live` is what its rules are compared with."""
    before = {rule.id: rule for rule in live.rules} if live is not None else None
    watched = [rule for rule in ruleset.rules if rule.mode is not Mode.OFF]
    rules = [_rule_result(rule, tally.rules.get(rule.id, RuleTally()), before) for rule in watched]
    built_in = tally.rules.get(CURRENCY_WITHOUT_RATE)
    if built_in is not None:
        why = "Built in: a rule asks for amount_usd, and the currency has no rate."
        sums = sums_of(built_in.hits), sums_of(built_in.unique)
        rules.append(RuleResult(CURRENCY_WITHOUT_RATE, why, "review", "live", *sums))
    order = {rule.id: place for place, rule in enumerate(rules)}
    pairs = {tuple(sorted(pair, key=order.__getitem__)): count for pair, count in tally.overlap.items()}
    return RulesetResult(
        ruleset.name,
        ruleset.hash,
        tally.results(),
        _thresholds(ruleset.thresholds),
        tuple(rules),
        {(first, second): count for (first, second), count in pairs.items()},
        tally.score_results(),
        tally.curve(),
    )


def removed_rules(ruleset: Ruleset, live: Ruleset | None) -> tuple[str, ...]:
    """Returns the ids of the live ruleset's rules that the new one does not run."""
    if live is None:
        return ()
    kept = {rule.id for rule in ruleset.rules if rule.mode is not Mode.OFF}
    return tuple(rule.id for rule in live.rules if rule.mode is not Mode.OFF and rule.id not in kept)


def _rule_result(rule: Rule, tally: RuleTally, before: Mapping[str, Rule] | None) -> RuleResult:
    change = ""
    if before is not None:
        old = before.get(rule.id)
        change = "new" if old is None or old.mode is Mode.OFF else "" if _decides(rule) == _decides(old) else "changed"
    effect = str(rule.action) if rule.action is not None else f"score {Decimal(rule.score_thousandths) / 1000}"
    mode = str(rule.mode) if rule.percent == 100 else f"{rule.mode}, {rule.percent} %"
    return RuleResult(rule.id, rule.why, effect, mode, sums_of(tally.hits), sums_of(tally.unique), change)


def _decides(rule: Rule) -> tuple[object, ...]:
    return (rule.condition, rule.score_thousandths, rule.action, rule.mode, rule.percent, rule.merchants)


def _thresholds(thresholds: Thresholds) -> Mapping[Outcome, int]:
    named = {
        Outcome.CHALLENGE: thresholds.challenge,
        Outcome.REVIEW: thresholds.review,
        Outcome.BLOCK: thresholds.block,
    }
    return {outcome: value for outcome, value in named.items() if value is not None}
