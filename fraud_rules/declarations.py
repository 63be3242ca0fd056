"""What a rule file declares at its top, beside thresholds: lists, metadata, and what differs for merchants.

Called by `rulefile`; lists and metadata before any condition is read, merchants after all of them.
"""

from collections.abc import Mapping, Sequence

from fraud_rules.decision import MAX_SCORE
from fraud_rules.document import Node
from fraud_rules.errors import Severity, nearest
from fraud_rules.facts import Fact
from fraud_rules.fields import Fields
from fraud_rules.metadata import KEY, KEY_HINT, MetadataType, metadata_word
from fraud_rules.rules import MerchantTerms, Thresholds

MAX_METADATA = 100
"""Each declared fact is looked for in each payment."""

THRESHOLDS = ("challenge", "review", "block")
MERCHANT = ("thresholds", "off")


def declare_lists(fields: Fields, node: Node | None) -> tuple[str, ...]:
    """Reads `lists:` and makes those lists known to conditions; one without a file begins empty."""
    names = [fields.identifier(item, item, "the list's name") for item in fields.sequence(node, "lists")]
    declared = tuple(dict.fromkeys(name for name in names if name))
    fields.lists = {**dict.fromkeys(declared, ()), **fields.lists}
    return declared


def declare_metadata(fields: Fields, node: Node | None) -> Mapping[str, Fact]:
    """Reads `metadata:` and makes those facts known to conditions and tests."""
    table = fields.table(node, "metadata")
    if node is not None and len(table) > MAX_METADATA:
        fields.problem(
            node, f"{len(table):,} metadata facts; the limit is {MAX_METADATA}", "declare what rules ask for"
        )
    declared: dict[str, Fact] = {}
    for name, (key, value) in table.items():
        kind = fields.choice(value, MetadataType)
        if not KEY.fullmatch(name):
            fields.problem(key, f"{name[:80]!r} cannot be the name of a fact", KEY_HINT)
        elif kind is not None:
            declared[name] = metadata_word(name, kind)
    fields.words = {**fields.words, **{word.name: word for word in declared.values()}}
    return declared


def read_thresholds(fields: Fields, node: Node | None) -> Thresholds:
    """Reads thresholds; those that are not there are None."""
    if node is None:
        return Thresholds()
    entries = fields.entries(node, "thresholds", THRESHOLDS)
    thresholds = Thresholds(**{name: fields.thousandths(entries.get(name), 1, MAX_SCORE) for name in THRESHOLDS})
    if not thresholds.rise():
        fields.problem(node, "thresholds must rise: challenge, then review, then block")
    return thresholds


def read_merchant_ids(fields: Fields, node: Node | None) -> tuple[str, ...]:
    """Reads the merchants that a rule is for."""
    nodes = fields.sequence(node, "merchants")
    if node is not None and not nodes:
        fields.problem(node, "no merchant is named", "name one, or leave `merchants` out for every merchant")
    ids = [fields.merchant(item) for item in nodes]
    for item, merchant in zip(nodes, ids, strict=True):
        _warn_of_odd_id(fields, item, merchant)
    return tuple(dict.fromkeys(ids))


def read_merchants(
    fields: Fields, node: Node | None, rules: Sequence[str], thresholds: Thresholds
) -> Mapping[str, MerchantTerms]:
    """Reads `merchants:`, what is different for each.

    Args:
        rules: The ids of the file's rules.
        thresholds: The file's own.
    """
    merchants: dict[str, MerchantTerms] = {}
    for key, value in fields.table(node, "merchants").values():
        merchant = fields.merchant(key)
        _warn_of_odd_id(fields, key, merchant)
        entries = fields.entries(value, "a merchant", MERCHANT)
        own = read_thresholds(fields, entries.get("thresholds"))
        if own.rise() and thresholds.rise() and not thresholds.amended(own).rise():
            fields.problem(entries["thresholds"], "with the file's thresholds they do not rise", "give all of them")
        merchants[merchant] = MerchantTerms(own, _switched_off(fields, entries.get("off"), rules))
    return merchants


def _switched_off(fields: Fields, node: Node | None, rules: Sequence[str]) -> frozenset[str]:
    off = set()
    for item in fields.sequence(node, "off"):
        name = fields.text(item)
        if name not in rules:
            fields.problem(item, f"there is no rule {name[:80]!r}", nearest(name, rules) or "name a rule by its id")
        off.add(name)
    return frozenset(off)


def _warn_of_odd_id(fields: Fields, node: Node, merchant: str) -> None:
    if not merchant.startswith("mer_"):
        hint = "ids of merchants begin with mer_"
        fields.problem(node, f"no merchant is called {merchant[:80]!r}", hint, Severity.WARNING)
