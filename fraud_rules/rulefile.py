"""A rule file's text to a `RuleFile`. Called by `loading`; no file is opened here, no rule is run."""

from dataclasses import dataclass

from fraud_rules.decision import BUILT_IN, MAX_SCORE, Outcome
from fraud_rules.declarations import declare_lists, declare_metadata, read_merchant_ids, read_merchants, read_thresholds
from fraud_rules.document import Entries, Node, Scalar, read_document
from fraud_rules.errors import Problem, RulesError, Severity
from fraud_rules.fields import Fields
from fraud_rules.findings import check_asked, check_conditions, check_declared, check_ids, check_scores
from fraud_rules.lists import Lists
from fraud_rules.rules import Action, Mode, Rule, RuleFile, RulesetTest, RuleTest

MAX_RULES = 2_000

RULESET = ("ruleset", "why", "applies_to", "thresholds", "lists", "metadata", "merchants", "rules", "tests")
RULE = ("id", "why", "when", "score", "action", "mode", "percent", "merchants", "tests")
RULE_TEST = ("given", "fires")
RULESET_TEST = ("given", "outcome", "score")


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
    entries = fields.entries(root, "a rule file", RULESET)
    if not entries:
        return None
    name = fields.identifier(entries.get("ruleset"), root, "the ruleset's name, `ruleset:`,")
    fields.text(entries.get("why"))
    lists = declare_lists(fields, entries.get("lists"))
    metadata = declare_metadata(fields, entries.get("metadata"))
    thresholds = read_thresholds(fields, entries.get("thresholds"))
    nodes = _rule_nodes(fields, entries.get("rules"), root)
    rules = [rule for node in nodes if (rule := _rule(fields, node)) is not None]
    merchants = read_merchants(fields, entries.get("merchants"), _ids(nodes), thresholds)
    tests = [_ruleset_test(fields, node) for node in fields.sequence(entries.get("tests"), "tests")]
    file = RuleFile(
        name or "",
        fields.condition(entries["applies_to"]) if "applies_to" in entries else None,
        thresholds,
        tuple(rules),
        tuple(test for test in tests if test),
        merchants,
        lists,
        metadata,
    )
    places = {node.line: node for node in nodes}
    check_ids(fields, rules, places)
    check_scores(fields, file, entries.get("thresholds", root))
    check_asked(fields, file, root)
    check_declared(fields, file, entries.get("lists"), entries.get("metadata"))
    check_conditions(fields, rules, places)
    return file


def _rule_nodes(fields: Fields, node: Node | None, root: Node) -> list[Node]:
    nodes = fields.sequence(node, "rules")
    if not nodes:
        fields.problem(node or root, "the file has no rules", "put at least one under `rules:`")
    if len(nodes) > MAX_RULES:
        fields.problem(nodes[MAX_RULES], f"the file has {len(nodes):,} rules; the limit is {MAX_RULES:,}")
    return nodes[:MAX_RULES]


def _ids(nodes: list[Node]) -> list[str]:
    """Returns the ids of all rules, also of those that are not sound otherwise."""
    found = [node.items["id"][1] for node in nodes if isinstance(node, Entries) and "id" in node.items]
    return [node.text for node in found if isinstance(node, Scalar)]


def _rule(fields: Fields, node: Node) -> Rule | None:
    entries = fields.entries(node, "a rule", RULE)
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
    merchants = read_merchant_ids(fields, entries.get("merchants"))
    tests = _rule_tests(fields, entries.get("tests"), node)
    if name is None or condition is None:
        return None
    why = fields.text(entries.get("why"))
    return Rule(name, why, condition, score or 0, action, mode, percent or 100, merchants, tests, node.line)


def _rule_tests(fields: Fields, node: Node | None, rule: Node) -> tuple[RuleTest, ...]:
    tests = []
    for item in fields.sequence(node, "tests"):
        entries = fields.entries(item, "a rule's test", RULE_TEST)
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
    entries = fields.entries(node, "a ruleset's test", RULESET_TEST)
    given, outcome = fields.given(entries.get("given")), fields.choice(entries.get("outcome"), Outcome)
    score = fields.thousandths(entries.get("score"), 0, MAX_SCORE)
    if not {"given", "outcome"} <= entries.keys():
        fields.problem(node, "a test needs `given` and `outcome`", "{given: {amount_usd: 12_000}, outcome: BLOCK}")
    return RulesetTest(given, outcome, score, node.line) if outcome is not None else None
