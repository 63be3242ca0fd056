"""Log lines as JSON on standard error, scrubbed of what must never be there. Called by `cli` once at the start."""

import atexit
import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import MutableMapping
from typing import Any, TextIO

import orjson
import structlog

from server.domain.card import luhn_ok
from server.settings import LogLevel

_LATE_S = 0.1
_SECRET = re.compile(r"\b(sk|rk|pk|whsec)_[0-9A-Za-z_]{8,}", re.ASCII)
_CARD = re.compile(r"(?<![0-9A-Za-z])(?:[0-9][ -]?){11,18}[0-9](?![0-9A-Za-z])", re.ASCII)


def configure(level: LogLevel) -> "Lines":
    """Sends structlog's lines and the standard library's through one formatter; returns what writes the former."""
    lines = Lines(sys.stderr)
    atexit.register(lines.flush)
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, scrub, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.value)),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                scrub,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    logging.basicConfig(level=level.value, handlers=[handler], force=True)
    # It tells of each job at INFO, and the sweeps are jobs every two seconds.
    logging.getLogger("procrastinate").setLevel(max(logging.WARNING, logging.getLevelName(level.value)))
    return lines


class Lines:
    """Writes lines; those below a warning up to a tenth of a second late, many at once.

    Each write lets other threads run, and a busy one keeps the interpreter for a while: a line for each call, written
    at once, would cost a call more than checking its key does.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._waiting = stream, deque[str]()
        self._writing = threading.Lock()
        self._begun = False

    def info(self, line: str) -> None:
        """Writes a line soon."""
        self._waiting.append(line)
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._write_for_ever, name="log", daemon=True).start()

    def warning(self, line: str) -> None:
        """Writes a line now, after those that wait."""
        self._waiting.append(line)
        self.flush()

    debug = info
    error = critical = fatal = exception = warning

    def flush(self) -> None:
        """Writes what waits."""
        with self._writing:
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if lines:
                self._stream.write("\n".join((*lines, "")))
                self._stream.flush()

    def _write_for_ever(self) -> None:
        while True:
            time.sleep(_LATE_S)
            self.flush()


def scrub(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces whatever looks like a key or a card number, in case a library says what it should not."""
    for name, value in line.items():
        line[name] = _scrub(value)
    return line


def _scrub(value: Any) -> Any:
    match value:
        case str():
            return _CARD.sub(_hide_card, _SECRET.sub(r"\1_[scrubbed]", value))
        case dict():
            return {key: _scrub(item) for key, item in value.items()}
        case list() | tuple():
            return [_scrub(item) for item in value]
        case _:
            return value


def _hide_card(match: re.Match[str]) -> str:
    return "[scrubbed]" if luhn_ok(re.sub("[ -]", "", match[0])) else match[0]


def _dumps(line: Any, **_options: Any) -> str:
    return orjson.dumps(line, default=str).decode()
