"""A rule file's text to a `RuleFile`. Called by `loading`; no file is opened here, no rule is run."""

from dataclasses import dataclass
from decimal import Decimal

from fraud_rules.decision import BUILT_IN, MAX_SCORE, Outcome
from fraud_rules.document import Node, read_document
from fraud_rules.errors import Problem, RulesError, Severity, nearest
from fraud_rules.expressions import Condition, facts_of
from fraud_rules.fields import Fields
from fraud_rules.lists import Lists
from fraud_rules.rules import Action, Mode, Rule, RuleFile, RulesetTest, RuleTest, Thresholds
from fraud_rules.satisfiability import satisfiable

MAX_RULES = 2_000

_RULESET = ("ruleset", "why", "applies_to", "thresholds", "rules", "tests")
_RULE = ("id", "why", "when", "score", "action", "mode", "percent", "tests")
_THRESHOLDS = ("challenge", "review", "block")


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A file that is sound, with the warnings it earned."""

    file: RuleFile
    warnings: tuple[Problem, ...]


def read_rules(content: bytes, file: str, lists: Lists) -> ReadResult:
    """Reads and types a rule file.

    Args:
        file: Its name for the problems.

    Raises:
        RulesError: With every problem of the file that could be found in one pass, warnings included.
    """
    root, source = read_document(content, file)
    fields = Fields(file, source, lists)
    ruleset = _ruleset(fields, root)
    problems = tuple(sorted(fields.problems, key=lambda problem: (problem.line, problem.column)))
    if ruleset is None or any(problem.severity is Severity.ERROR for problem in problems):
        raise RulesError(problems)
    return ReadResult(ruleset, problems)


def _ruleset(fields: Fields, root: Node) -> RuleFile | None:
    entries = fields.entries(root, "a rule file", _RULESET)
    if not entries:
        return None
    name = fields.identifier(entries.get("ruleset"), root, "the ruleset's name, `ruleset:`,")
    thresholds = _thresholds(fields, entries.get("thresholds"))
    nodes = fields.sequence(entries.get("rules"), "rules")
    if not nodes:
        fields.problem(entries.get("rules", root), "the file has no rules", "put at least one under `rules:`")
    if len(nodes) > MAX_RULES:
        fields.problem(nodes[MAX_RULES], f"the file has {len(nodes):,} rules; the limit is {MAX_RULES:,}")
        nodes = nodes[:MAX_RULES]
    rules = [rule for node in nodes if (rule := _rule(fields, node)) is not None]
    _check_ids(fields, rules, nodes)
    _check_scores(fields, rules, thresholds, entries.get("thresholds", root))
    tests = [_ruleset_test(fields, node) for node in fields.sequence(entries.get("tests"), "tests")]
    applies_to = fields.condition(entries["applies_to"]) if "applies_to" in entries else None
    fields.text(entries.get("why"))
    file = RuleFile(name or "", applies_to, thresholds, tuple(rules), tuple(test for test in tests if test))
    _check_windows(fields, file)
    _check_conditions(fields, rules, nodes)
    return file


def _thresholds(fields: Fields, node: Node | None) -> Thresholds:
    if node is None:
        return Thresholds()
    entries = fields.entries(node, "thresholds", _THRESHOLDS)
    values = {name: fields.thousandths(entries.get(name), 1, MAX_SCORE) for name in _THRESHOLDS}
    given = [value for value in values.values() if value is not None]
    if given != sorted(given):
        fields.problem(node, "thresholds must rise: challenge, then review, then block")
    return Thresholds(**values)


def _rule(fields: Fields, node: Node) -> Rule | None:
    entries = fields.entries(node, "a rule", _RULE)
    if not entries:
        return None
    name = fields.identifier(entries.get("id"), node, "the rule's id")
    if name in BUILT_IN:
        fields.problem(entries["id"], f"{name} is the id of a built-in rule", "choose another")
    if "when" not in entries:
        fields.problem(node, "the rule has no `when`")
    condition = fields.condition(entries.get("when"))
    score = fields.thousandths(entries.get("score"), -MAX_SCORE, MAX_SCORE)
    action = fields.choice(entries.get("action"), Action)
    if ("score" in entries) is ("action" in entries):
        fields.problem(node, "a rule has a score or an action, one of them", "add `score: 0.3` or `action: review`")
    elif score == 0:
        fields.problem(entries["score"], "a score of 0 does nothing", "use `mode: shadow` to only watch a rule")
    mode = fields.choice(entries.get("mode"), Mode) or Mode.LIVE
    percent = fields.whole(entries.get("percent"), 1, 100)
    if percent is not None and mode is not Mode.LIVE:
        fields.problem(entries["percent"], "percent is for live rules", "remove it, or set `mode: live`")
    tests = _rule_tests(fields, entries.get("tests"), node)
    if name is None or condition is None:
        return None
    why = fields.text(entries.get("why"))
    return Rule(name, why, condition, score or 0, action, mode, percent or 100, tests, node.line)


def _rule_tests(fields: Fields, node: Node | None, rule: Node) -> tuple[RuleTest, ...]:
    tests = []
    for item in fields.sequence(node, "tests"):
        entries = fields.entries(item, "a rule's test", ("given", "fires"))
        given, fires = fields.given(entries.get("given")), fields.boolean(entries.get("fires"))
        if not {"given", "fires"} <= entries.keys():
            fields.problem(item, "a test needs `given` and `fires`", "{given: {amount_usd: 12_000}, fires: true}")
        elif fires is not None:
            tests.append(RuleTest(given, fires, item.line))
    if {test.fires for test in tests} != {True, False}:
        hint = "add one that fires and one that does not"
        fields.problem(rule, "the rule lacks a test", hint, Severity.WARNING)
    return tuple(tests)


def _ruleset_test(fields: Fields, node: Node) -> RulesetTest | None:
    entries = fields.entries(node, "a ruleset's test", ("given", "outcome", "score"))
    given, outcome = fields.given(entries.get("given")), fields.choice(entries.get("outcome"), Outcome)
    score = fields.thousandths(entries.get("score"), 0, MAX_SCORE)
    if not {"given", "outcome"} <= entries.keys():
        fields.problem(node, "a test needs `given` and `outcome`", "{given: {amount_usd: 12_000}, outcome: BLOCK}")
    return RulesetTest(given, outcome, score, node.line) if outcome is not None else None


def _check_ids(fields: Fields, rules: list[Rule], nodes: list[Node]) -> None:
    lines: dict[str, int] = {}
    for rule in rules:
        if rule.id in lines:
            node = next(node for node in nodes if node.line == rule.line)
            fields.problem(node, f"the id {rule.id!r} is that of the rule in line {lines[rule.id]}", "ids are unique")
        lines.setdefault(rule.id, rule.line)


def _check_windows(fields: Fields, file: RuleFile) -> None:
    """Warns of tests that give a velocity fact under a name by which no rule asks for it."""
    applies_to = [] if file.applies_to is None else [file.applies_to]
    conditions = [*applies_to, *(rule.condition for rule in file.rules)]
    asked = {fact.name for condition in conditions for fact in facts_of(condition) if fact.velocity}
    for name, node in fields.windows_given:
        if name not in asked:
            fields.problem(node, f"no rule asks for {name}", nearest(name, asked), Severity.WARNING)


def _check_conditions(fields: Fields, rules: list[Rule], nodes: list[Node]) -> None:
    """Warns of rules that can never fire, and of rules that ask the same as another."""
    places = {node.line: node for node in nodes}
    first: dict[Condition, Rule] = {}
    for rule in rules:
        if not satisfiable(rule.condition):
            fields.problem(places[rule.line], f"{rule.id} can never fire: it contradicts itself", "", Severity.WARNING)
        elif rule.condition in first:
            message = f"{rule.id} asks the same as {first[rule.condition].id}"
            fields.problem(places[rule.line], message, "", Severity.WARNING)
        first.setdefault(rule.condition, rule)


def _check_scores(fields: Fields, rules: list[Rule], thresholds: Thresholds, node: Node) -> None:
    """Warns of scores that nothing reads, and of thresholds that no sum can reach."""
    total = sum(max(0, rule.score_thousandths) for rule in rules if rule.mode is Mode.LIVE)
    if total and thresholds == Thresholds():
        fields.problem(node, "rules have scores and there is no threshold", "add `thresholds:`", Severity.WARNING)
    for name in _THRESHOLDS:
        value = getattr(thresholds, name)
        if value is not None and value > total:
            message = f"the threshold {name} is out of reach: the live scores add up to {Decimal(total) / 1000}"
            fields.problem(node, message, severity=Severity.WARNING)
