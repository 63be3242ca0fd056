"""A processor that answers what a test dictates, for answers that no sandbox gives."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """Where it listens, and what it was asked."""

    url: str = ""
    requests: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    """Method, path, headers and body of each."""

    def asked(self, path: str) -> list[dict[str, str]]:
        """The headers of the requests to a path."""
        return [headers for _, asked, headers, _ in self.requests if asked == path]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[Server]:
    """Serves every request by `handler` until the end of the block."""
    server = Server()

    async def record(request: web.Request) -> web.StreamResponse:
        server.requests.append((request.method, request.path, dict(request.headers), await request.text()))
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", record)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()
