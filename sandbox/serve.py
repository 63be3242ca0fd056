"""`python -m sandbox.serve`: the sandbox as a process of its own, which the local stack and people start."""

import asyncio
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from aiohttp import web

from sandbox.app import build
from sandbox.config import Config


def main(  # noqa: PLR0913, PLR0917  # one parameter per flag
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8090,
    host: str = "127.0.0.1",
    public_url: Annotated[str, typer.Option(help="How others reach this server; default: http://HOST:PORT.")] = "",
    webhook_url: Annotated[str, typer.Option(help="Base address that webhooks are sent to.")] = "",
    state: Annotated[Path | None, typer.Option(help="File that keeps everything over restarts.")] = None,
    paypal_ca_file: Annotated[Path | None, typer.Option(help="Where to write the CA of PayPal's webhooks.")] = None,
    stripe_key: Annotated[str, typer.Option(envvar="SANDBOX_STRIPE_KEY")] = "sk_test_sandbox",
    stripe_webhook_secret: Annotated[str, typer.Option(envvar="SANDBOX_STRIPE_WEBHOOK_SECRET")] = "whsec_sandbox",
    paypal_client_id: Annotated[str, typer.Option(envvar="SANDBOX_PAYPAL_CLIENT_ID")] = "sandbox-client",
    paypal_client_secret: Annotated[str, typer.Option(envvar="SANDBOX_PAYPAL_CLIENT_SECRET")] = "sandbox-secret",
    paypal_webhook_id: Annotated[str, typer.Option(envvar="SANDBOX_PAYPAL_WEBHOOK_ID")] = "WH-SANDBOX",
    paypal_token_s: Annotated[int, typer.Option(help="Seconds that an access token of PayPal's lives.")] = 32_400,
    later_s: Annotated[float, typer.Option(help="Seconds until debits settle and disputes arrive.")] = 2.0,
    retry_s: Annotated[float, typer.Option(help="Seconds before a webhook is sent again; doubles.")] = 0.5,
    longest_retry_s: Annotated[float, typer.Option(help="Longest such pause, in seconds.")] = 30.0,
) -> None:
    """Speaks Stripe's and PayPal's wire protocols on one port, with books of its own. No money moves."""
    listener = socket.create_server((host, port), backlog=2048)
    bound = listener.getsockname()[1]
    config = Config(
        public_url=public_url.rstrip("/") or f"http://{host}:{bound}",
        webhook_url=webhook_url,
        state=state,
        stripe_key=stripe_key,
        stripe_webhook_secret=stripe_webhook_secret,
        paypal_client_id=paypal_client_id,
        paypal_client_secret=paypal_client_secret,
        paypal_webhook_id=paypal_webhook_id,
        paypal_ca_file=paypal_ca_file,
        paypal_token_s=paypal_token_s,
        later_s=later_s,
        retry_s=retry_s,
        longest_retry_s=longest_retry_s,
    )
    print(f"sandbox: {config.public_url}", flush=True)
    uvloop.run(serve(config, listener))


async def serve(config: Config, listener: socket.socket) -> None:
    """Serves on a bound socket until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # No access log: addresses of customers' pages hold their secret.
    runner = web.AppRunner(build(config), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=2048).start()
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    typer.run(main)
