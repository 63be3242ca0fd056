"""COOKBOOK.md, written from the files of `cookbook/`: run `python -m fraud_rules.cookbook_reference` to renew it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fraud_rules import radar
from fraud_rules.document import Entries, Node, Scalar, Sequence, read_document

FOLDER = Path(__file__).parent / "cookbook"
LISTS = FOLDER / "lists"
BOOK = Path(__file__).parent / "COOKBOOK.md"

_RADAR = "stripe_radar"
_INTRODUCTION = """\
# Cookbook

Rules for the known patterns of fraud, each with a reason and with tests. None of them is in force: `cookbook/` is never
loaded. Take what fits, and

1. copy the rule into your own file and set its numbers: those here are starting points, not truths;
2. `kassa rules backtest` it over your own past, and look at what honest payments it would have cost;
3. run it with `mode: shadow` for a week, then with `percent: 10`, then live.

`kassa rules test --lists fraud_rules/cookbook/lists fraud_rules/cookbook/*.yaml` runs every test of this book. The
lists are samples; <https://github.com/disposable-email-domains/disposable-email-domains> has thousands of throwaway
domains.

This page is written from the files by `python -m fraud_rules.cookbook_reference`.
"""
_RADAR_INTRODUCTION = """\
Every example of its [rules reference](https://docs.stripe.com/radar/rules/reference) and of its
[page on rules](https://docs.stripe.com/radar/rules) that needs no machine-learned score. Both languages agree on what
is missing: a comparison with it is not true, and neither is its negation; both leave the payment under decision out of
every count. Their windows may reach back by one bucket more. An `allow` rule here comes before a challenge; there
3-D Secure is asked for first. The rules stand in [stripe_radar](cookbook/stripe_radar.yaml) and, where another example
would make them pointless, in [a second file](cookbook/stripe_radar_narrower.yaml)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One rule as its file writes it; `does` is its score or its action."""

    id: str
    why: str
    when: str
    does: str
    tests: int


@dataclass(frozen=True, slots=True)
class Chapter:
    """One file."""

    name: str
    why: str
    recipes: tuple[Recipe, ...]


def chapters() -> Iterator[Chapter]:
    """Yields the chapters in the order of their files' names."""
    for path in sorted(FOLDER.glob("*.yaml")):
        root, _ = read_document(path.read_bytes(), path.name)
        fields = _fields(root)
        rules = fields["rules"]
        assert isinstance(rules, Sequence)
        yield Chapter(path.stem, _text(fields, "why"), tuple(_recipe(item) for item in rules.items))


def cookbook() -> str:
    """Returns the whole page."""
    book = list(chapters())
    patterns = [chapter for chapter in book if not chapter.name.startswith(_RADAR)]
    examples = [recipe for chapter in book if chapter.name.startswith(_RADAR) for recipe in chapter.recipes]
    contents = [f"- [{_title(chapter)}](#{_anchor(chapter)}): {chapter.why}" for chapter in patterns]
    count = sum(len(chapter.recipes) for chapter in patterns)
    return "\n".join(
        [
            _INTRODUCTION,
            f"{count} rules in {len(patterns)} chapters, then [Stripe's examples](#coming-from-stripe-radar).",
            "",
            *contents,
            *(line for chapter in patterns for line in _chapter(chapter)),
            *_radar({recipe.id: recipe for recipe in examples}),
            "",
        ]
    )


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield from ("", f"## {_title(chapter)}", "", f"{chapter.why} ([file](cookbook/{chapter.name}.yaml))", "")
    yield from ("| rule | fires where | does | why |", "|---|---|---|---|")
    yield from (f"| `{one.id}` | {_code(one.when)} | {one.does} | {one.why} |" for one in chapter.recipes)


def _radar(recipes: Mapping[str, Recipe]) -> Iterator[str]:
    yield from ("", "## Coming from Stripe Radar", "")
    yield _RADAR_INTRODUCTION
    yield from ("", "| Radar | Kassa | rule |", "|---|---|---|")
    for text, name in radar.EXAMPLES:
        yield f"| {_code(text)} | {_code(recipes[name].when)} → {recipes[name].does} | `{name}` |"
    yield from ("", "### Attributes", "")
    yield from ("X is a card, a customer, an email …; `within=` is any window.", "")
    yield from ("| Radar | Kassa |", "|---|---|")
    yield from (f"| {_code(text)} | {_code(ours)} |" for text, ours in radar.ATTRIBUTES)
    yield from ("", "### What cannot be said here", "", "Needs a machine-learned score, which Kassa does not have:", "")
    yield from (f"- {_code(text)}" for text in radar.NEED_A_SCORE)
    yield from ("", "Needs facts that Kassa does not have:", "", "| Radar | why not, and what instead |", "|---|---|")
    yield from (f"| {_code(text)} | {reason} |" for text, reason in radar.NOT_WRITABLE)


def _recipe(node: Node) -> Recipe:
    fields = _fields(node)
    does = f"score {_text(fields, 'score')}" if "score" in fields else _text(fields, "action")
    if "merchants" in fields:
        does = f"{does}, for some merchants"
    tests = fields["tests"]
    assert isinstance(tests, Sequence)
    return Recipe(_text(fields, "id"), _text(fields, "why"), _text(fields, "when"), does, len(tests.items))


def _fields(node: Node) -> Mapping[str, Node]:
    assert isinstance(node, Entries)
    return {name: value for name, (_, value) in node.items.items()}


def _text(fields: Mapping[str, Node], name: str) -> str:
    node = fields[name]
    assert isinstance(node, Scalar)
    return " ".join(node.text.split())


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _title(chapter: Chapter) -> str:
    return chapter.name.replace("_", " ").capitalize().replace("Bin ", "BIN ")


def _anchor(chapter: Chapter) -> str:
    return chapter.name.replace("_", "-")


if __name__ == "__main__":
    BOOK.write_text(cookbook(), encoding="utf-8")
