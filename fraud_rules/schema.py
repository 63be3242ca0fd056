"""The JSON Schema of rule files, by which editors complete and underline; `fraud_rules.reference` writes schema.json.

Editors read YAML's numbers and booleans where Kassa reads the text that stands there, so both forms are allowed.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fraud_rules.decision import MAX_SCORE, Outcome
from fraud_rules.declarations import MAX_METADATA
from fraud_rules.errors import IDENTIFIER
from fraud_rules.expressions import LISTED
from fraud_rules.facts import MAX_INTEGER, VOCABULARY, Fact, Kind, Unit
from fraud_rules.fields import MERCHANT
from fraud_rules.metadata import KEY, METADATA, MetadataType
from fraud_rules.rulefile import MAX_RULES
from fraud_rules.rules import Action, Mode
from fraud_rules.velocity import (
    BY,
    COUNTED,
    OVER,
    PLATFORM,
    PLATFORM_BY,
    PLATFORM_DISTINCT,
    PLATFORM_FUNCTIONS,
    Function,
)

SCHEMA = Path(__file__).parent / "schema.json"

Schema = dict[str, Any]

_NUMBER: Schema = {"type": ["number", "string"], "pattern": r"^-?[0-9](_?[0-9])*(\.[0-9](_?[0-9])*)?$"}
_BOOLEAN: Schema = {"enum": [True, False, "true", "false"]}
_TEXT: Schema = {"type": ["string", "number", "boolean"]}
_DURATION: Schema = {"type": ["integer", "string"], "pattern": "^([0-9](_?[0-9])*|[0-9]{1,7}[smhd])$"}
_WINDOW = "([1-9][0-9]{0,4}[mhd]|ever)"
_PLATFORM_WINDOW = "([1-9][0-9]{0,4}[mhd])"


def rule_file_schema() -> Schema:
    """Returns the schema of a rule file: https://json-schema.org/draft-07, which every editor knows."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Written by `python -m fraud_rules.reference`.",
        "title": "Fraud rules of Kassa",
        **_table(_file(), required=("ruleset", "rules")),
        "definitions": {
            "name": {"type": "string", "pattern": f"^{IDENTIFIER.pattern}$"},
            "merchant": {"type": "string", "pattern": f"^{MERCHANT.pattern}$"},
            "condition": {"type": "string", "maxLength": 2_000},
            "thresholds": _thresholds(),
            "given": _given(),
            "rule": _rule(),
        },
    }


def schema_text() -> str:
    """Returns the schema as it stands in schema.json."""
    return json.dumps(rule_file_schema(), indent=2, ensure_ascii=False) + "\n"


def _file() -> Schema:
    merchant = _table(
        {
            "thresholds": _said("Thresholds of its own; the file's hold for the others.", _ref("thresholds")),
            "off": _said("Ids of rules that do not look at its payments.", _list(_ref("name"))),
        }
    )
    test = _table(
        {
            "given": _ref("given"),
            "outcome": _said("What becomes of the payment.", {"enum": list(Outcome)}),
            "score": _said("The sum of scores.", _decimal(0)),
        },
        required=("given", "outcome"),
    )
    metadata = {"additionalProperties": {"enum": list(MetadataType)}, "maxProperties": MAX_METADATA}
    names = {"propertyNames": {"pattern": f"^{KEY.pattern}$"}}
    return {
        "ruleset": _said("The ruleset's name.", _ref("name")),
        "why": _said("What the rules are for.", _TEXT),
        "applies_to": _said("Which payments the rules look at; every one without it.", _ref("condition")),
        "thresholds": _said("Sums of scores from which on a payment is …; reaching one counts.", _ref("thresholds")),
        "lists": _said("Lists that have no file, whose entries are added at run time.", _list(_ref("name"))),
        "metadata": _said("Metadata keys of merchants, with their types.", {"type": "object", **metadata, **names}),
        "merchants": _said(
            "What is different for a merchant.",
            {"type": "object", "propertyNames": _ref("merchant"), "additionalProperties": merchant},
        ),
        "rules": _said("The rules.", {**_list(_ref("rule")), "minItems": 1, "maxItems": MAX_RULES}),
        "tests": _said("Payments, and what becomes of them by all rules together.", _list(test)),
    }


def _rule() -> Schema:
    functions = ", ".join(f"{function}(…)" for function in Function)
    when = f"When the rule fires: facts, == != < <= > >=, in, and or not, list(…), known(…), matches(…), {functions}."
    test = _table(
        {"given": _ref("given"), "fires": _said("Whether the rule fires.", _BOOLEAN)}, required=("given", "fires")
    )
    fields = {
        "id": _said("The rule's name, by which decisions remember it.", _ref("name")),
        "why": _said("Why there is such a rule.", _TEXT),
        "when": _said(when, _ref("condition")),
        "score": _said("What the payment's score grows by, -1 to 1.", _decimal(-MAX_SCORE)),
        "action": _said("What the rule settles by itself.", {"enum": list(Action)}),
        "mode": _said(
            "live decides; shadow is only recorded; off is only tested. live without it.", {"enum": list(Mode)}
        ),
        "percent": _said("The share of customers for whom a live rule is live.", _whole(1, 100)),
        "merchants": _said(
            "The only merchants whose payments it looks at.", {**_list(_ref("merchant")), "minItems": 1}
        ),
        "tests": _said("Payments, and whether the rule fires for them.", _list(test)),
    }
    either = [{"required": ["score"]}, {"required": ["action"]}]
    return {**_table(fields, required=("id", "when")), "oneOf": either}


def _thresholds() -> Schema:
    said = {
        "challenge": "… challenged by 3-D Secure.",
        "review": "… held for review.",
        "block": "… blocked.",
    }
    return _table({name: _said(text, _decimal(1)) for name, text in said.items()})


def _given() -> Schema:
    velocity: dict[str, Schema] = {}
    for function in Function:
        name = f"^{function}_({'|'.join(OVER[function])})_by_({'|'.join(BY)})_{_WINDOW}$"
        velocity[name] = _said(f"What {function}(…) gives.", _asked(function))
    for function in PLATFORM_FUNCTIONS:
        over = "|".join(PLATFORM_DISTINCT) if function is Function.DISTINCT else COUNTED[0]
        name = f"^{function}_({over})_by_({'|'.join(PLATFORM_BY)})_across_{PLATFORM}_{_PLATFORM_WINDOW}$"
        velocity[name] = _said(f'What {function}(…, across="{PLATFORM}") gives.', _asked(function))
    others = {f"^{LISTED}": _said("Whether an entry added at run time holds the value.", _BOOLEAN)}
    others[f"^{METADATA}"] = _said("What the merchant tells.", _TEXT)
    return {
        "type": "object",
        "description": "All that is known of the payment.",
        "properties": {name: _said(fact.meaning, _value(fact)) for name, fact in VOCABULARY.items()},
        "patternProperties": velocity | others,
        "additionalProperties": False,
    }


def _asked(function: Function) -> Schema:
    match function:
        case Function.SECONDS_SINCE_LAST | Function.SECONDS_SINCE_FIRST:
            return _DURATION
        case Function.FIRST_SEEN:
            return _BOOLEAN
        case Function.LAST:
            return _TEXT
        case _:
            return _NUMBER


def _value(fact: Fact) -> Schema:
    match fact.kind:
        case Kind.BOOLEAN:
            return _BOOLEAN
        case Kind.TEXT:
            return {"enum": list(fact.values)} if fact.values else _TEXT
        case Kind.INTEGER if fact.unit is not Unit.US_CENTS and fact.maximum < MAX_INTEGER:
            return _whole(fact.minimum, fact.maximum)
        case Kind.INTEGER:
            return _NUMBER


def _table(fields: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    table: Schema = {"type": "object", "properties": dict(fields), "additionalProperties": False}
    return {**table, "required": list(required)} if required else table


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _whole(least: int, most: int) -> Schema:
    return {"type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": "^[0-9]+$"}


def _decimal(least: int) -> Schema:
    return {**_NUMBER, "minimum": least / 1_000, "maximum": MAX_SCORE / 1_000}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _said(description: str, schema: Schema) -> Schema:
    """Adds what editors show; beside a reference they would not look at it, in draft 07."""
    return {"description": description, **({"allOf": [schema]} if "$ref" in schema else schema)}
