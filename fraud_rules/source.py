"""The text of one expression: parsed by Python's own parser, bounded, and able to say where things stand in it.

Used by `terms` and `parser`, which give the tree its meaning.
"""

import ast
import re
import warnings
from typing import NoReturn

MAX_LENGTH = 2_000
MAX_NODES = 400
MAX_DEPTH = 30

_LONE_RETURN = re.compile(r"\r(?!\n)")


class ExpressionError(Exception):
    """The expression has no meaning.

    Attributes:
        offset: Where, in characters from the start of the expression.
        message: What is wrong.
        hint: What to write instead, or empty.
    """

    def __init__(self, offset: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.offset, self.message, self.hint = offset, message, hint


class Source:
    """One expression as written."""

    def __init__(self, text: str) -> None:
        """Takes the expression.

        Raises:
            ExpressionError: It is too long.
        """
        if len(text) > MAX_LENGTH:
            raise ExpressionError(0, f"the expression has {len(text):,} characters; the limit is {MAX_LENGTH:,}")
        # In parentheses, an expression may span lines; Python takes a lone carriage return for the end of one.
        self._text = f"({_LONE_RETURN.sub(chr(10), text)}\n)"
        self._lines = [f"{line}\n".encode("utf-8", "replace") for line in self._text.split("\n")]

    def tree(self) -> ast.expr:
        """Parses the text, and refuses what is too deep or too large for the steps that follow.

        Raises:
            ExpressionError: Not a Python expression, or beyond the limits above.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                body = ast.parse(self._text, mode="eval").body
        except SyntaxError as error:
            offset = self._offset(error.lineno or 1, (error.offset or 1) - 1)
            hint = "compare with ==, join with and, or, not; all in lower case"
            raise ExpressionError(offset, f"not an expression: {error.msg}", hint) from error
        except (MemoryError, RecursionError, ValueError) as error:
            raise ExpressionError(0, "the expression is nested too deeply, or holds a null character") from error
        if isinstance(body, ast.Tuple) and not body.elts:
            raise ExpressionError(0, "the expression is empty")
        if (body.lineno, body.col_offset) == (1, 0):
            raise ExpressionError(0, "a parenthesis is closed before it is opened")
        self._check_size(body)
        return body

    def _check_size(self, body: ast.expr) -> None:
        nodes, depth, level = 0, 0, [body]
        while level:
            nodes, depth = nodes + len(level), depth + 1
            if nodes > MAX_NODES or depth > MAX_DEPTH:
                self.fail(level[0], "the expression is too large", "split it into several rules, or use a list")
            level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]

    def written(self, node: ast.expr) -> str:
        """Returns the part of the text that the node was read from, as written."""
        if node.end_lineno is None or node.end_col_offset is None:
            return "this"
        lines = self._lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return b"".join(lines).decode(errors="replace")

    def fail(self, node: ast.expr, message: str, hint: str = "") -> NoReturn:
        """Raises `ExpressionError` at the node's place."""
        column = len(self._lines[node.lineno - 1][: node.col_offset].decode(errors="replace"))
        raise ExpressionError(self._offset(node.lineno, column), " ".join(message.split()), hint)

    def _offset(self, line: int, column: int) -> int:
        before = sum(len(text) + 1 for text in self._text.split("\n")[: line - 1])
        return min(max(0, before + column - 1), max(0, len(self._text) - 3))
