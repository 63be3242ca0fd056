"""YAML as a tree of strings with positions, without the parts of YAML that surprise. Called by `rulefile` and `rates`.

Every scalar stays the text that was written: plain YAML would turn `NO` into false and `012345` into 5349.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import yaml

from fraud_rules.errors import Problem, RulesError

MAX_BYTES = 1_000_000
MAX_DEPTH = 16

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml is 20 times faster, where it is built in


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the document. `line` and `column` are from 1; `start` and `end` are offsets into its source text."""

    line: int
    column: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """A text. `plain` says that it was written without quotes."""

    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """A list."""

    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entries(Node):
    """A mapping, in the order of the file."""

    items: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)


def read_document(content: bytes, file: str) -> tuple[Node, str]:
    """Parses one YAML document; returns its root and the decoded text that positions refer to.

    Raises:
        RulesError: Not UTF-8, over 1 MB, not YAML, empty, nested past 16 levels, or using an anchor, an alias,
            a tag, a duplicate key, or a second document.
    """
    if len(content) > MAX_BYTES:
        raise RulesError([Problem(file, 0, 0, f"the file has more than {MAX_BYTES:,} bytes", "split it")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RulesError([Problem(file, line, 0, "the file is not UTF-8", "save it as UTF-8")]) from error
    try:
        return _build(yaml.parse(text, Loader=_LOADER), file), text
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise RulesError([Problem(file, line, column, f"not YAML: {error.problem or error.context}")]) from error
    except yaml.YAMLError as error:
        raise RulesError([Problem(file, 0, 0, f"not YAML: {' '.join(str(error).split())}")]) from error


def _build(events: Iterator[yaml.Event], file: str) -> Node:
    """Builds the tree without recursion, so that deep nesting can be refused before it hurts."""
    root: Node | None = None
    stack: list[tuple[Sequence | Entries, list[Scalar]]] = []
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise _refused(file, event, "a second document", "keep one document a file")
        if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            stack.pop()
            continue
        node = _node(event, file)
        if node is None:
            continue
        if stack:
            _attach(stack[-1], node, event, file)
        else:
            root = node
        if isinstance(node, Sequence | Entries):
            stack.append((node, []))
            if len(stack) > MAX_DEPTH:
                raise _refused(file, event, f"nesting past {MAX_DEPTH} levels", "")
    if root is None:
        raise RulesError([Problem(file, 1, 1, "the file is empty")])
    return root


def _node(event: yaml.Event, file: str) -> Node | None:
    """Turns an event that opens a node into it; None for the events that open nothing."""
    if isinstance(event, yaml.AliasEvent):
        raise _refused(file, event, "an alias", "write the value out")
    if not isinstance(event, yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent):
        return None
    if event.anchor is not None:
        raise _refused(file, event, "an anchor", "write the value out")
    if event.tag is not None:
        raise _refused(file, event, "a tag", "every value is read as text")
    start = _mark(event)
    end = event.end_mark.index if event.end_mark else start.index
    place = (start.line + 1, start.column + 1, start.index, end)
    match event:
        case yaml.ScalarEvent():
            return Scalar(*place, text=event.value, plain=event.style in (None, ""))
        case yaml.SequenceStartEvent():
            return Sequence(*place)
        case _:
            return Entries(*place)


def _attach(top: tuple[Sequence | Entries, list[Scalar]], node: Node, event: yaml.Event, file: str) -> None:
    parent, pending = top
    if isinstance(parent, Sequence):
        parent.items.append(node)
    elif isinstance(parent, Entries) and pending:
        key = pending.pop()
        parent.items[key.text] = (key, node)
    elif not isinstance(node, Scalar):
        raise _refused(file, event, "a key that is not a text", "")
    elif isinstance(parent, Entries) and node.text in parent.items:
        raise _refused(file, event, f"the key {node.text[:80]!r} twice", "remove one of them")
    else:
        pending.append(node)


class _Mark(Protocol):
    line: int
    column: int
    index: int


def _mark(event: yaml.Event) -> _Mark:
    assert event.start_mark is not None
    return event.start_mark


def _refused(file: str, event: yaml.Event, what: str, hint: str) -> RulesError:
    mark = _mark(event)
    return RulesError([Problem(file, mark.line + 1, mark.column + 1, f"{what} is not allowed here", hint)])
