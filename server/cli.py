"""The `kassa` command. Each subcommand reads its settings from the environment and says in words what is wrong."""

import asyncio
import gc
import os
import resource
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import uvloop
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from fraud_rules import RulesError
from fraud_rules.cli import app as rules
from server import logs, replay_cli, rules_cli
from server.backtest_source import StoredDecisions
from server.bootstrap import issue_platform_key, open_core, read_payment_timeline, run_server, run_worker
from server.domain.errors import InvalidField
from server.domain.ids import Prefix, parse_id, render_id
from server.domain.timeline import TimelineEntry
from server.lists_cli import app as lists
from server.screening.tables import TableError
from server.settings import DatabaseSettings, MigrationSettings, S, Settings, SettingsError, load
from server.snooze_cli import app as snooze
from server.storage.book_checks import CHECKS
from server.storage.migrations import migrate as migrate_schema
from server.usecases.check_books import BooksReport
from server.usecases.retell import retell

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Kassa, a payment gateway.")
platform_key = typer.Typer(no_args_is_help=True, help="Keys that administer merchants.")
rules_cli.mount(rules)
replay_cli.mount(rules)
rules.add_typer(lists, name="list")
rules.add_typer(snooze, name="snooze")
app.add_typer(rules, name="rules", help="Check, test, release and replay fraud rules.")
app.add_typer(platform_key, name="platform-key")
payment = typer.Typer(no_args_is_help=True, help="Look at payments.")
app.add_typer(payment, name="payment")


@app.callback()
def main(context: typer.Context) -> None:
    """Kassa, a payment gateway."""

    def reader_url() -> str:
        return _load(DatabaseSettings).database_reader_url.get_secret_value()

    context.obj = StoredDecisions(reader_url)


@app.command()
def serve(
    listen: Annotated[str | None, typer.Option(help="host:port; instead of KASSA_LISTEN")] = None,
) -> None:
    """Serve gRPC on one address until SIGTERM. Run as many as you like, each on its own address."""
    settings = _load(Settings)
    run_process(settings, run_server(settings if listen is None else settings.model_copy(update={"listen": listen})))


@app.command()
def worker() -> None:
    """Finish what was left lying: lost answers, webhooks, old keys. Run one or more."""
    settings = _load(Settings)
    run_process(settings, run_worker(settings))


@app.command()
def migrate() -> None:
    """Create the database roles and bring the schema up to date."""
    settings = _load(MigrationSettings)
    migrate_schema(
        settings.database_owner_url.get_secret_value(),
        settings.database_url.get_secret_value(),
        settings.database_reader_url.get_secret_value(),
    )


@app.command("check-books")
def check_all_books(
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON")] = False,
) -> None:
    """Look at every payment once: does it say what its ledger and its transactions say? Exit 1 where one does not."""
    settings = _load(Settings)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Payments", total=None)
        report = asyncio.run(_look(settings, lambda done, total: bar.update(task, completed=done, total=total)))
    if as_json:
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    else:
        _show_books(Console(), report)
    raise typer.Exit(1 if report.drifts else 0)


async def _look(settings: Settings, progress: Callable[[int, int], None]) -> BooksReport:
    async with open_core(settings) as core:
        return await core.sweeps.check_books.everything(progress)


def _show_books(console: Console, report: BooksReport) -> None:
    found = Counter(drift.check for drift in report.drifts)
    table = Table("check", "what holds", Column("payments", justify="right"), Column("drift", justify="right"))
    for check in CHECKS:
        drift = found[check.name]
        table.add_row(
            check.name, check.says, f"{report.payments:,}", Text(f"{drift:,}", style="bold red" if drift else "green")
        )
    console.print(table)
    for one in report.drifts:
        payment = render_id(Prefix.PAYMENT, one.payment_id)
        console.print(Text(f"{one.check}: {payment}: {one.detail}", style="red"), soft_wrap=True)


@platform_key.command("issue")
def issue(name: Annotated[str, typer.Option(help="What the key is for")] = "platform") -> None:
    """Make a platform key and print it; it is shown this once."""
    print(asyncio.run(issue_platform_key(_load(Settings), name)))


@payment.command("timeline")
def timeline(payment_id: Annotated[str, typer.Argument(help="The payment, pay_…")]) -> None:
    """Show all that is known of a payment, of whichever merchant, in order."""
    try:
        key = parse_id(Prefix.PAYMENT, payment_id, "payment_id")
    except InvalidField as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    entries = read_payment_timeline(_load(Settings), key)
    if not entries:
        print("There is no such payment.", file=sys.stderr)
        raise typer.Exit(1)
    Console().print(_table(payment_id, entries))


def _table(payment_id: str, entries: Sequence[TimelineEntry]) -> Table:
    began = entries[0].position.at
    table = Table("time (UTC)", "+ms", "who", "what", "minor units", title=payment_id)
    for entry in entries:
        at, line = entry.position.at, retell(entry.what)
        since = f"{(at - began).total_seconds() * 1000:.0f}"
        table.add_row(f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3], since, line.kind, escape(line.what), line.money)
    return table


@app.command()
def run() -> None:
    """Run everything on this machine: Postgres, sandbox, servers, worker and Envoy. For development and demos."""
    # The same process goes on as the supervisor, so that whoever stops or kills us stops or kills it.
    os.execv(sys.executable, [sys.executable, "-m", "sandbox.local"])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def simulate(arguments: typer.Context) -> None:
    """Run seeded faults against everything on this machine, heal it, and demand that no cent is missing."""
    os.execv(sys.executable, [sys.executable, "-m", "sandbox.simulator", *arguments.args])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def bench(arguments: typer.Context) -> None:
    """Measure how fast the gateway is on this machine; in a checkout of the repository only."""
    checkout = Path(__file__).parents[1]
    if not (checkout / "bench" / "__main__.py").is_file():
        print(f"The benchmarks are not installed with Kassa, and {checkout} has no folder bench.", file=sys.stderr)
        print("Run this from a checkout of the repository: make bench", file=sys.stderr)
        raise typer.Exit(2)
    # Its processes are started by name (`python -m bench.…`) and find each other from there.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")]))
    os.execv(sys.executable, [sys.executable, "-m", "bench", *arguments.args])


def _load(kind: type[S]) -> S:
    try:
        return load(kind)
    except SettingsError as error:
        print(f"The environment is not complete:\n{error}", file=sys.stderr)
        raise typer.Exit(2) from None


def run_process(settings: Settings, main: Coroutine[Any, Any, None]) -> None:
    """Runs a server or a worker to its end, and says in words why it cannot begin."""
    logs.configure(settings.log_level)
    try:
        _serve(main)
    except RulesError as error:
        print(f"The fraud rules cannot be used, and there are no others to fall back on:\n{error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except TableError as error:
        print(f"A table that fraud rules look up in cannot be used: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def _serve(main: Coroutine[Any, Any, None]) -> None:
    # Each payment that waits at a processor holds a connection there; the usual soft limit of 1,024 is for shells.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # The writer's thread needs the interpreter after each round trip to Postgres; the usual 5 ms for which a busy event
    # loop may keep it away are longer than most of its batches.
    sys.setswitchinterval(0.001)
    # Modules, rules and tables live as long as the process: a collection need not look through them. And hardly
    # anything that a payment leaves is a cycle, so looking after each 700 objects would cost a tenth of all CPU.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    uvloop.run(main)
