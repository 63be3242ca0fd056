"""What is different between two rulesets, in the terms of rule files. Called by `kassa rules diff`, and at releases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from fraud_rules.lists import parse_lists
from fraud_rules.loading import Checked
from fraud_rules.rules import MerchantTerms, Rule, RuleFile, Thresholds
from fraud_rules.writing import written

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different; empty where it is not there at all."""

    what: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ChangedRule:
    """A rule that both rulesets have."""

    id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """All that is different.

    Attributes:
        general: What is not about one rule: thresholds, lists, metadata, merchants, rates.
        added, removed: Rules that only one of them has, by id.
    """

    old_hash: str
    new_hash: str
    general: tuple[Change, ...]
    added: tuple[Rule, ...]
    removed: tuple[Rule, ...]
    changed: tuple[ChangedRule, ...]

    @property
    def decides_alike(self) -> bool:
        """Whether nothing is different but what decides nothing: comments, reasons, tests, the order of rules."""
        trifles = {"why", "tests"}
        changes = [*self.general, *(change for rule in self.changed for change in rule.changes)]
        return not (self.added or self.removed) and all(change.what in trifles for change in changes)

    def to_json(self) -> dict[str, Any]:
        """Returns all of it as plain values."""
        rules = {"added": self.added, "removed": self.removed}
        return {
            "old_hash": self.old_hash,
            "new_hash": self.new_hash,
            "decides_alike": self.decides_alike,
            "general": [asdict(change) for change in self.general],
            **{name: [{"id": rule.id, **rule_fields(rule)} for rule in found] for name, found in rules.items()},
            "changed": [asdict(rule) for rule in self.changed],
        }


def compare(old: Checked, new: Checked) -> Difference:
    """Compares two rulesets, rules by their ids."""
    before, after = ({rule.id: rule for rule in checked.file.rules} for checked in (old, new))
    changed = []
    for name in before.keys() & after.keys():
        tests = [[(test.given, test.fires) for test in rules[name].tests] for rules in (before, after)]
        changes = (*_changes(rule_fields(before[name]), rule_fields(after[name])), *_tests(*tests))
        if changes:
            changed.append(ChangedRule(name, changes))
    order = list(after)
    return Difference(
        old.hash,
        new.hash,
        tuple(_general(old, new)),
        tuple(rule for name, rule in after.items() if name not in before),
        tuple(rule for name, rule in before.items() if name not in after),
        tuple(sorted(changed, key=lambda rule: order.index(rule.id))),
    )


def rule_fields(rule: Rule) -> Mapping[str, str]:
    """Returns a rule's fields, but for its tests, as its file would have them."""
    return {
        "when": written(rule.condition),
        "score": "" if rule.action is not None else str(Decimal(rule.score_thousandths) / 1000),
        "action": "" if rule.action is None else str(rule.action),
        "mode": str(rule.mode),
        "percent": str(rule.percent),
        "merchants": ", ".join(rule.merchants),
        "why": rule.why,
    }


def _general(old: Checked, new: Checked) -> Iterator[Change]:
    yield from _changes(_file_fields(old.file), _file_fields(new.file))
    tests = [[(one.given, one.outcome, one.score_thousandths) for one in each.file.tests] for each in (old, new)]
    yield from _tests(*tests)
    blocks = (
        {"block threshold in place of the file's": _thousandths(one.sources.block_threshold)} for one in (old, new)
    )
    yield from _changes(*blocks)
    lists = [parse_lists(checked.sources.lists) for checked in (old, new)]
    for name in sorted(lists[0].keys() | lists[1].keys()):
        before, after = (set(entries.get(name, ())) for entries in lists)
        if before != after:
            yield Change(f"list {name}", _some("without", before - after), _some("with", after - before))
    rates = [
        {"date of the rates": checked.rates.date.isoformat()}
        | {f"rate of {code}": str(float(rate)) for code, rate in checked.rates.cents_per_minor_unit.items()}
        for checked in (old, new)
    ]
    yield from _changes(*rates)


def _file_fields(file: RuleFile) -> dict[str, str]:
    fields = {"ruleset": file.name, "applies_to": "" if file.applies_to is None else written(file.applies_to)}
    fields |= _thresholds("threshold ", file.thresholds)
    fields["lists"] = ", ".join(sorted(file.lists))
    fields |= {f"metadata {key}": str(word.kind) for key, word in file.metadata.items()}
    for merchant, terms in file.merchants.items():
        fields |= _merchant(merchant, terms)
    return fields


def _merchant(merchant: str, terms: MerchantTerms) -> dict[str, str]:
    fields = _thresholds(f"{merchant}: threshold ", terms.thresholds)
    return fields | {f"{merchant}: rules that are off": ", ".join(sorted(terms.off))}


def _thresholds(prefix: str, thresholds: Thresholds) -> dict[str, str]:
    named = {"challenge": thresholds.challenge, "review": thresholds.review, "block": thresholds.block}
    return {f"{prefix}{name}": _thousandths(value) for name, value in named.items()}


def _thousandths(value: int | None) -> str:
    return "" if value is None else str(Decimal(value) / 1000)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for what in dict.fromkeys((*old, *new)):
        before, after = old.get(what, ""), new.get(what, "")
        if before != after:
            yield Change(what, before, after)


def _tests(old: Sequence[object], new: Sequence[object]) -> Iterator[Change]:
    if list(old) != list(new):
        same = sum(test in old for test in new)
        yield Change("tests", str(len(old)), f"{len(new)}, {len(new) - same} of them new or changed")


def _some(word: str, entries: set[str]) -> str:
    """Names the first few entries of a list, which may be thousands."""
    if not entries:
        return ""
    more = f" and {len(entries) - _SHOWN:,} more" if len(entries) > _SHOWN else ""
    return f"{word} {', '.join(sorted(entries)[:_SHOWN])}{more}"
