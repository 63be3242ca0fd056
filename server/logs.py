"""Log lines as JSON on standard error, scrubbed of what must never be there. Called by `cli` once at the start."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from server.domain.card import luhn_ok
from server.settings import LogLevel

_SECRET = re.compile(r"\b(sk|rk|pk|whsec)_[0-9A-Za-z_]{8,}", re.ASCII)
_CARD = re.compile(r"(?<![0-9A-Za-z])(?:[0-9][ -]?){11,18}[0-9](?![0-9A-Za-z])", re.ASCII)


def configure(level: LogLevel) -> None:
    """Sends structlog's lines and the standard library's through one formatter."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, scrub, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.value)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
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
