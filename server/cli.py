"""The `kassa` command. Each subcommand reads its settings from the environment and says in words what is wrong."""

import asyncio
import os
import resource
import sys
from collections.abc import Coroutine
from typing import Annotated, Any

import typer
import uvloop

from fraud_rules import RulesError
from fraud_rules.cli import app as rules
from server import logs
from server.bootstrap import issue_platform_key, run_server, run_worker
from server.settings import MigrationSettings, S, Settings, SettingsError, load
from server.storage.migrations import migrate as migrate_schema

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Kassa, a payment gateway.")
platform_key = typer.Typer(no_args_is_help=True, help="Keys that administer merchants.")
app.add_typer(rules, name="rules", help="Check and test fraud rules.")
app.add_typer(platform_key, name="platform-key")


@app.command()
def serve(
    listen: Annotated[str | None, typer.Option(help="host:port; instead of KASSA_LISTEN")] = None,
) -> None:
    """Serve gRPC on one address until SIGTERM. Run as many as you like, each on its own address."""
    settings = _load(Settings)
    _run(settings, run_server(settings if listen is None else settings.model_copy(update={"listen": listen})))


@app.command()
def worker() -> None:
    """Finish what was left lying: lost answers, webhooks, old keys. Run one or more."""
    settings = _load(Settings)
    _run(settings, run_worker(settings))


@app.command()
def migrate() -> None:
    """Create the database roles and bring the schema up to date."""
    settings = _load(MigrationSettings)
    migrate_schema(
        settings.database_owner_url.get_secret_value(),
        settings.database_url.get_secret_value(),
        settings.database_reader_url.get_secret_value(),
    )


@platform_key.command("issue")
def issue(name: Annotated[str, typer.Option(help="What the key is for")] = "platform") -> None:
    """Make a platform key and print it; it is shown this once."""
    print(asyncio.run(issue_platform_key(_load(Settings), name)))


@app.command()
def run() -> None:
    """Run everything on this machine: Postgres, sandbox, servers, worker and Envoy. For development and demos."""
    # The same process goes on as the supervisor, so that whoever stops or kills us stops or kills it.
    os.execv(sys.executable, [sys.executable, "-m", "sandbox.local"])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def simulate(arguments: typer.Context) -> None:
    """Run seeded faults against everything on this machine, heal it, and demand that no cent is missing."""
    os.execv(sys.executable, [sys.executable, "-m", "sandbox.simulator", *arguments.args])


def _load(kind: type[S]) -> S:
    try:
        return load(kind)
    except SettingsError as error:
        print(f"The environment is not complete:\n{error}", file=sys.stderr)
        raise typer.Exit(2) from None


def _run(settings: Settings, main: Coroutine[Any, Any, None]) -> None:
    logs.configure(settings.log_level)
    try:
        _serve(main)
    except RulesError as error:
        print(f"The fraud rules cannot be used, and there are no others to fall back on:\n{error}", file=sys.stderr)
        raise typer.Exit(2) from None


def _serve(main: Coroutine[Any, Any, None]) -> None:
    # Each payment that waits at a processor holds a connection there; the usual soft limit of 1,024 is for shells.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(main)
