"""The schema that editors use accepts what the language accepts, and underlines the usual mistakes."""

import json
import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from fraud_rules import DEFAULT_RULES
from fraud_rules.reference import README
from fraud_rules.schema import SCHEMA, rule_file_schema, schema_text

VALIDATOR = Draft7Validator(rule_file_schema())
FULL = """
ruleset: cards
why: because
applies_to: method == "credit_card"
thresholds: {challenge: 0.4, block: 1}
lists: [blocked]
metadata: {gift: boolean, OrderType: text}
merchants: {mer_1: {thresholds: {review: 0.5}, off: [one]}}
rules:
  - id: one
    when: amount > 5
    score: -0.125
    mode: live
    percent: 10
    merchants: [mer_1]
    tests:
      - given:
          amount_usd: 10_000.01
          hour: 5
          cvc_given: true
          billing_country: "NO"
          bin: 424242
          count_payments_by_card_1h: 5
          seconds_since_last_payments_by_card_ever: 10m
          first_seen_payments_by_card_90d: false
          last_cvc_check_by_card_ever: fail
          listed_blocked_card: true
          metadata_gift: true
        fires: true
  - {id: two, when: hour > 3, action: block, mode: shadow}
tests: [{given: {}, outcome: ALLOW, score: 0}]
"""


class Editor(yaml.SafeLoader):
    """YAML 1.2, by which editors read: `off` is a text there, and only true and false are booleans."""


BOOLEAN = "tag:yaml.org,2002:bool"
Editor.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Editor.add_implicit_resolver(BOOLEAN, re.compile("true|false"), list("tf"))


def found(text: str) -> list[str]:
    """Where the schema finds mistakes, read as editors read YAML and as Kassa does."""
    read: list[Any] = [yaml.load(text, Loader=Editor), yaml.load(text, Loader=yaml.BaseLoader)]
    paths = [sorted(error.json_path for error in VALIDATOR.iter_errors(one)) for one in read]
    assert bool(paths[0]) == bool(paths[1])
    return paths[0]


def test_the_file_is_current_and_a_schema() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run `python -m fraud_rules.reference`"
    Draft7Validator.check_schema(json.loads(schema_text()))


def test_everything_that_the_language_has_is_accepted() -> None:
    readme = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert readme is not None
    for text in (FULL, DEFAULT_RULES.read_text(encoding="utf-8"), readme[1]):
        assert found(text) == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("percent: 10", "percents: 10", "$.rules[0]"),
        ("percent: 10", "percent: x", "$.rules[0].percent"),
        ("mode: live", "mode: on_", "$.rules[0].mode"),
        ("action: block", "action: stop", "$.rules[1].action"),
        ("action: block", "why: none", "$.rules[1]"),
        ("hour: 5", "hours: 5", "$.rules[0].tests[0].given"),
        ("cvc_given: true", "cvc_given: maybe", "$.rules[0].tests[0].given.cvc_given"),
        ("count_payments_by_card_1h", "count_payments_by_cards_1h", "$.rules[0].tests[0].given"),
        ("OrderType: text", "OrderType: number", "$.metadata.OrderType"),
        ("outcome: ALLOW", "outcome: allow", "$.tests[0].outcome"),
        ("ruleset: cards", "rulset: cards", "$"),
    ],
)
def test_usual_mistakes_are_underlined(old: str, new: str, path: str) -> None:
    assert old in FULL
    assert path in found(FULL.replace(old, new))
