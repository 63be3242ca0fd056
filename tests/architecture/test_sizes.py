"""Files stop at 400 lines and functions at 70, so that each can be read at once. Generated code is exempt."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOMS = ("server", "fraud_rules", "clients", "sandbox", "bench", "tests", "protos")
GENERATED = ("_pb2.py", "_pb2_grpc.py")
FILE_LINES = 400
FUNCTION_LINES = 70
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def sources() -> list[Path]:
    """Every Python file that people wrote; a migration's statements are a list, not a function to understand."""
    found = (path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))
    return sorted(path for path in found if not path.name.endswith(GENERATED) and "versions" not in path.parts)


def long_functions(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.name}: {lines} lines"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_file_can_be_read_at_once(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES
    assert list(long_functions(text)) == []


@pytest.mark.parametrize("room", ["server", "fraud_rules", "clients/python/kassa", "sandbox"])
def test_modules_are_named_after_what_they_hold(room: str) -> None:
    assert [path for path in (REPOSITORY / room).rglob("*.py") if path.stem in FORBIDDEN_NAMES] == []


@pytest.mark.parametrize("room", ["server", "fraud_rules", "clients/python/kassa", "sandbox"])
def test_modules_say_what_lives_in_them(room: str) -> None:
    silent = [
        str(path.relative_to(REPOSITORY))
        for path in sources()
        if path.is_relative_to(REPOSITORY / room)
        and path.stat().st_size
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_a_long_function_would_be_found() -> None:
    body = "def long():\n" + "    pass\n" * FUNCTION_LINES
    assert list(long_functions(body)) == [f"long: {FUNCTION_LINES + 1} lines"]
