"""What the commands under /sandbox share; the dashboards of both processors and `admin` are made of it."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from sandbox.exchange import Json

Act = Callable[[web.Request], Awaitable[Json]]
Answering = Callable[[Act], Callable[[web.Request], Awaitable[web.StreamResponse]]]
"""Turns what a command does into a handler that answers with JSON, errors too."""


class Body(BaseModel):
    """The JSON of a command; what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")
