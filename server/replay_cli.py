"""`kassa rules replay` and `explain`: stored decisions, made once more and taken apart. Mounted by `cli`."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from fraud_rules import RulesError, check_sources
from fraud_rules import cli as files
from fraud_rules.cli import Json, Lists, Rates
from fraud_rules.explain import explain as explain_facts
from fraud_rules.loading import by_evaluator
from fraud_rules.rules import words_of
from fraud_rules.tables import show_explanation
from server.clock import utc_now
from server.domain.errors import InvalidField
from server.domain.ids import Prefix, parse_id, render_id
from server.domain.rulesets import Version
from server.screening.gates import sources_of
from server.storage.decisions import StoredDecision, read_newest, read_one
from server.storage.rulesets import read_versions
from server.terminal import ask, finding, print_json, usage
from server.usecases.replay_decisions import ReplayReport, replay_decisions

_DURATION = re.compile(r"(\d{1,5})([mhd])")
_NO_DECISION = "There is no decision on such a payment."
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def mount(app: typer.Typer) -> None:
    """Adds these commands to the analysts' own; `explain` takes the place of the one that knows files alone."""
    for command in (replay, explain):
        app.command()(command)


def replay(
    payment: Annotated[str | None, typer.Argument(help="The payment, pay_…", show_default=False)] = None,
    last: Annotated[int | None, typer.Option(min=1, help="The newest so many decisions.", show_default=False)] = None,
    since: Annotated[
        str | None, typer.Option(help="All since a time (2026-01-31, 2026-01-31T09:30) or for a while (90m, 12h, 7d).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decide stored decisions once more, by the version that made them and both back ends, and compare every bit."""
    if (payment is None) == (last is None and since is None):
        usage("Name a payment, or say which decisions by --last or --since.")
    key = None if payment is None else _payment_key(payment)
    moment = None if since is None else _moment(since)

    def work(connection: Connection) -> ReplayReport | None:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Decisions", total=last)
            tell = lambda done: bar.update(task, completed=done)  # noqa: E731
            if key is None:
                return replay_decisions(connection, read_newest(connection, last, moment), tell)
            one = read_one(connection, key)
            return None if one is None else replay_decisions(connection, [one], tell)

    report = ask(lambda desk: desk.reads.run(work))
    if report is None:
        finding(_NO_DECISION)
    _show_replay(report, as_json=as_json)
    raise typer.Exit(1 if report.deviations else 0)


def explain(  # noqa: PLR0913, PLR0917 - each is an option
    subject: Annotated[str, typer.Argument(help="A payment, pay_…, or a rule file.", metavar="PAYMENT|FILE")],
    given: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE…", help="Facts for a file, as a test's `given` has them.")
    ] = None,
    facts: Annotated[
        Path | None, typer.Option("--facts", help="JSON file of facts as decisions keep them, amounts in cents.")
    ] = None,
    lists: Lists = None,
    rates: Rates = None,
    as_json: Json = False,
) -> None:
    """Explain a payment by the version that decided it, or facts by a file: every rule, with the values it saw."""
    if not subject.startswith(f"{Prefix.PAYMENT.value}_"):
        files.explain(Path(subject), given, facts, lists, rates, as_json)
        return
    if given or facts or lists or rates:
        usage("A payment is explained by the facts, lists and rates that it was decided with.")
    key = _payment_key(subject)
    stored = ask(lambda desk: desk.reads.run(read_one, key))
    if stored is None:
        finding(_NO_DECISION)
    decision = stored.decision
    version = ask(lambda desk: desk.reads.run(read_versions, [decision.ruleset])).get(decision.ruleset)
    if version is None:
        finding(f"The version {decision.ruleset} that decided is not kept.")
    _show_explained(stored, version, as_json=as_json)


def _show_explained(stored: StoredDecision, version: Version, *, as_json: bool) -> None:
    decision = stored.decision
    try:
        checked = check_sources(sources_of(version))
    except RulesError as error:
        finding(str(error))
    explanation = explain_facts(by_evaluator(checked), decision.facts, snoozed=frozenset(decision.snoozed))
    if as_json:
        print_json({"decided_at": stored.created_at, "decision": decision, "explanation": explanation.to_json()})
        return
    console = Console()
    by = f"{decision.role.value} {decision.ruleset[:12]} from {version.name}, {decision.backend or 'back end not kept'}"
    console.print(Text(f"Decided {stored.created_at:%Y-%m-%d %H:%M:%S} UTC: {decision.outcome.value} by {by}"))
    for shadow in decision.shadows:
        rules = f" by {', '.join(shadow.rules)}" if shadow.rules else ""
        console.print(Text(f"Shadow {shadow.ruleset[:12]}: {shadow.outcome.value}{rules}", style="dim"))
    show_explanation(console, explanation, words_of(checked.file.conditions, checked.file.metadata))


def _payment_key(payment: str) -> UUID:
    try:
        return parse_id(Prefix.PAYMENT, payment, "payment")
    except InvalidField as error:
        usage(str(error))


def _moment(since: str) -> datetime:
    duration = _DURATION.fullmatch(since)
    if duration is not None:
        return utc_now() - timedelta(**{_UNITS[duration[2]]: int(duration[1])})
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        usage("--since must be a time such as 2026-01-31 or 2026-01-31T09:30, or a while such as 90m, 12h, 7d.")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _show_replay(report: ReplayReport, *, as_json: bool) -> None:
    deviations = [(render_id(Prefix.PAYMENT, one.payment_id), one.difference) for one in report.deviations]
    if as_json:
        told = [{"payment": payment, "difference": difference} for payment, difference in deviations]
        shadows = {"replayed": report.shadows, "differing": report.shadows_differing, "left_out": report.shadows_left}
        counts = {"replayed": report.replayed, "undecided": report.undecided, "shadows": shadows}
        print_json(counts | {"differences": told})
        return
    console = Console()
    if deviations:
        table = Table("payment", "shadow", "back end", "field", "stored", "replayed")
        for payment, one in deviations:
            table.add_row(*map(Text, (payment, one.shadow[:12], one.backend, one.field, one.stored, one.replayed)))
        console.print(table)
    undecided = f"; {report.undecided:,} had been decided by no rules" if report.undecided else ""
    words = f"{report.replayed:,} decisions replayed, {report.differing:,} differ{undecided}."
    console.print(Text(words, "red" if report.differing else "green"))
    if report.shadows or report.shadows_left:
        left = f"; {report.shadows_left:,} left out, without facts or rules" if report.shadows_left else ""
        words = f"{report.shadows:,} shadow decisions replayed, {report.shadows_differing:,} differ{left}."
        console.print(Text(words, "red" if report.shadows_differing else "green"))
