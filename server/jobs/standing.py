"""Shows again and again how the database stands, while the worker runs. Started by `bootstrap`."""

import asyncio
import logging
from collections.abc import Callable

from server.domain.errors import KassaError
from server.storage.engine import Reads
from server.storage.standing import Standing, read_standing

_LOOK_EVERY_S = 5.0
_log = logging.getLogger(__name__)


async def show_standing(reads: Reads, show: Callable[[Standing], None]) -> None:
    """Looks until it is cancelled; while the database does not answer, the last numbers stand."""
    while True:
        try:
            show(await reads.run(read_standing))
        except KassaError as trouble:
            _log.warning("the metrics stand still: %s", trouble)
        await asyncio.sleep(_LOOK_EVERY_S)
