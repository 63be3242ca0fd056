"""What is legal in a rule file and looks like a mistake: found on each reading, one rule at a time. Used by `rulefile`.

What takes comparing rules with each other is in `analysis`, which `check` alone runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from fraud_rules.document import Node
from fraud_rules.errors import Severity, nearest
from fraud_rules.expressions import Condition, facts_of, memberships_of, texts_of
from fraud_rules.facts import Case, is_address
from fraud_rules.fields import Fields
from fraud_rules.rules import Mode, Rule, RuleFile, Thresholds, words_of
from fraud_rules.satisfiability import satisfiable


def check_ids(fields: Fields, rules: Sequence[Rule], places: Mapping[int, Node]) -> None:
    """Refuses a rule that has another one's id."""
    lines: dict[str, int] = {}
    for rule in rules:
        if rule.id in lines:
            place = places[rule.line]
            fields.problem(place, f"the id {rule.id!r} is that of the rule in line {lines[rule.id]}", "ids are unique")
        lines.setdefault(rule.id, rule.line)


def check_asked(fields: Fields, file: RuleFile, root: Node) -> None:
    """Warns of tests that give a fact that no rule asks for, and refuses lists that cannot be told apart."""
    words = words_of(file.conditions, file.metadata)
    for name, node in fields.asked_given:
        if name not in words:
            asked = [word for word in words if word not in fields.words]
            fields.problem(node, f"no rule asks for {name}", nearest(name, asked), Severity.WARNING)
    mentions = {(one.listed, one.list_name): one for each in file.conditions for one in memberships_of(each)}
    by_word: dict[str, str] = {}
    for word, list_name in mentions:
        if word is not None and by_word.setdefault(word.name, list_name) != list_name:
            message = f"the lists {list_name} and {by_word[word.name]} cannot be told apart: both make {word.name}"
            fields.problem(root, message, "rename one of them")


def check_declared(fields: Fields, file: RuleFile, lists: Node | None, metadata: Node | None) -> None:
    """Warns of what is declared and asked for by no rule."""
    named = {one.list_name for condition in file.conditions for one in memberships_of(condition)}
    asked = {fact.name for condition in file.conditions for fact in facts_of(condition)}
    for name in file.lists:
        if name not in named and lists is not None:
            fields.problem(lists, f"no rule asks for the list {name}", "remove it", Severity.WARNING)
    for key, word in file.metadata.items():
        if word.name not in asked and metadata is not None:
            fields.problem(metadata, f"no rule asks for {word.name}", f"remove {key}", Severity.WARNING)


def check_conditions(fields: Fields, rules: Sequence[Rule], places: Mapping[int, Node]) -> None:
    """Warns of rules that can never fire, of addresses that are none, and of rules that ask the same as another."""
    first: dict[Condition, Rule] = {}
    for rule in rules:
        place = places[rule.line]
        if not satisfiable(rule.condition):
            fields.problem(place, f"{rule.id} can never fire: it contradicts itself", "", Severity.WARNING)
        elif rule.condition in first:
            fields.problem(place, f"{rule.id} asks the same as {first[rule.condition].id}", "", Severity.WARNING)
        first.setdefault(rule.condition, rule)
        for message, hint in _impossible_addresses(rule.condition):
            fields.problem(place, message, hint, Severity.WARNING)


def _impossible_addresses(condition: Condition) -> Iterator[tuple[str, str]]:
    """Says what no address can equal, and what to write; one text of a list is enough to have somebody look at it."""
    for fact, texts, list_name in texts_of(condition):
        wrong = [str(text) for text in texts if not is_address(str(text))] if fact.word.case is Case.ADDRESS else []
        if not wrong:
            continue
        text = min(wrong)
        message = f"{fact.name} is never {text[:80]!r}, which is not an IP address"
        if list_name:
            hint = f"lists/{list_name}.txt takes an address or network a line; a comment begins with two blanks and a #"
        else:
            hint = f'put networks in a list: {fact.name} in list("…")' if "/" in text else "write such as 203.0.113.7"
        yield message, hint


def check_scores(fields: Fields, file: RuleFile, node: Node) -> None:
    """Warns of scores that nothing reads, and of thresholds that no sum can reach."""
    total = sum(max(0, rule.score_thousandths) for rule in file.rules if rule.mode is Mode.LIVE)
    if total and all(file.thresholds_for(one) == Thresholds() for one in (None, *file.merchants)):
        fields.problem(node, "rules have scores and there is no threshold", "add `thresholds:`", Severity.WARNING)
    for name in ("challenge", "review", "block"):
        value = getattr(file.thresholds, name)
        if value is not None and value > total:
            message = f"the threshold {name} is out of reach: the live scores add up to {Decimal(total) / 1000}"
            fields.problem(node, message, severity=Severity.WARNING)
