"""No durable step and no call to a processor is without its crash points."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.crash_points import all_points, is_durable
from server.processors.contract import Processor
from server.processors.guarded import Guarded

SERVER = Path(__file__).parents[2] / "server"
READS = {
    "accounts_with_unhandled_events",
    "every_account_id",
    "final_until",
    "find_object",
    "read_account",
    "read_key_owners",
    "read_merchant",
    "unhandled_events",
    "unknown_objects",
}
ADMINISTRATION = {"_create", "_issue", "_update", "insert_merchant", "revoke_api_key"}
"""Merchants, keys and accounts: one statement each, no money, and whoever got no answer asks again."""
WATCHING = {"close_attention", "insert_attention", "record_drift", "resolve_attention", "set_position"}
"""What is told to people: no money, and whoever looks next tells it again."""
RULES = {"end_shadow", "keep_version", "release", "release_unless_known", "release_unless_since", "roll_back"}
"""Versions and releases of fraud rules: no payment moves, and whoever got no answer looks at the history."""
DESK = {
    "add_list_entry", "add_note", "add_snooze", "claim_review", "end_snooze", "label_payment", "release_review",
    "remove_list_entry",
}  # fmt: skip
"""What analysts write down: no money, and whoever got no answer says it again, which changes nothing."""
HARMLESS = {"expire_keys", "fold", "forget", "forget_days"}
"""Forgets what nobody needs any more, or keeps it shorter."""
RUNNERS = {("_commit", "write"), ("_transactions", "run")}


def work_given_to_transactions() -> Iterator[tuple[str, str]]:
    """Yields the module and the name of every function that is handed to group commit or to a short transaction."""
    for path in sorted(SERVER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            runner, owner = node.func.attr, node.func.value
            if isinstance(owner, ast.Attribute) and (owner.attr, runner) in RUNNERS:
                work = node.args[0]
                name = work.attr if isinstance(work, ast.Attribute) else ast.unparse(work)
                yield ".".join(path.relative_to(SERVER.parent).with_suffix("").parts), name


GIVEN = sorted(set(work_given_to_transactions()))


@pytest.mark.parametrize(("module", "name"), GIVEN, ids=[f"{module}:{name}" for module, name in GIVEN])
def test_what_writes_is_marked_as_durable(module: str, name: str) -> None:
    if name not in READS | ADMINISTRATION | WATCHING | RULES | DESK | HARMLESS:
        assert is_durable(getattr(importlib.import_module(module), name)), f"mark {name} with `durable`"


def test_the_known_steps_are_among_them() -> None:
    """Else the search above would have gone blind."""
    names = {name for _, name in GIVEN}
    assert {"open_payments", "open_operations", "take_up", "settle_transactions", "book_refunds"} <= names
    assert {"store_event", "mark_handled", "postpone_event"} <= names
    assert names >= ADMINISTRATION


CALLS = [name for name, _ in inspect.getmembers(Processor, inspect.iscoroutinefunction) if hasattr(Guarded, name)]
"""The type checker sees to it that it has them all."""


@pytest.mark.parametrize("name", CALLS)
def test_every_call_to_a_processor_has_its_points(name: str) -> None:
    expected = set() if name == "close" else {f"{name}.before", f"{name}.after"}
    assert {point for point in all_points() if point.startswith(f"{name}.")} == expected
