"""One seed from its first payment to the verdict: clients on a thread of their own, blows on the main thread."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import uvloop

from sandbox.local.ports import LOOPBACK
from sandbox.local.stack import LocalStack
from sandbox.simulator.dossier import dossier
from sandbox.simulator.evidence import gather
from sandbox.simulator.havoc import Havoc
from sandbox.simulator.healing import converge
from sandbox.simulator.merchants import Merchant, close_merchants, open_merchants
from sandbox.simulator.oracle import Case, Finding, judge
from sandbox.simulator.plan import DASHBOARD_MERCHANT, draw_plan
from sandbox.simulator.shop import Shop
from sandbox.simulator.told import Call
from sandbox.simulator.weather import SERVERS, Blow, draw_rules, draw_strikes
from sandbox.simulator.wire import Wire
from server.domain.ids import Prefix, parse_id

_TICK_S: Final = 0.02
_DOSSIERS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How seeds are run.

    Attributes:
        payments: Of each seed.
        merchants: Of each seed.
        customers: Who are served at the same time.
        apart: Payments between two blows, on average.
        blows: Kinds of blows that are dealt.
        deadline_s: Seconds that the gateway waits for a processor.
        patience_s: Seconds that everything may take to settle once it is healed.
    """

    payments: int
    merchants: int = 6
    customers: int = 32
    apart: float = 120.0
    blows: frozenset[Blow] = frozenset(Blow)
    deadline_s: float = 1.5
    patience_s: float = 90.0


@dataclass(slots=True)
class Report:
    """What became of a seed. Times in seconds."""

    seed: int
    payments: int = 0
    calls: int = 0
    attempts: int = 0
    refused: int = 0
    shopping_s: float = 0.0
    healing_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    dossiers: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Crowd:
    """The customers and clients of a seed, at work on another thread; `begun` and `done` count payments."""

    begun: int = 0
    done: int = 0
    calls: list[Call] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)
    attempts: int = 0
    error: BaseException | None = None


def run_seed(stack: LocalStack, seed: int, settings: Settings, on_progress: Callable[[Report], None]) -> Report:
    """Runs one seed on a healthy stack and leaves it healthy. Main thread only.

    Args:
        on_progress: Told often of the report as it stands.
    """
    merchants = open_merchants(stack, seed, settings.merchants)
    havoc, crowd, report = Havoc(stack), Crowd(), Report(seed)
    others = [merchant for merchant in merchants if merchant.number != DASHBOARD_MERCHANT]
    droppable = [account for merchant in others for account in merchant.accounts]
    havoc.rain(draw_rules(seed, settings.deadline_s, droppable))
    began = time.monotonic()
    # A daemon, so that nobody waits for clients when the run is called off.
    thread = threading.Thread(target=_shop, args=(stack, seed, settings, merchants, crowd), name="crowd", daemon=True)
    thread.start()
    try:
        _strike_until_done(thread, crowd, havoc, report, seed, settings, on_progress)
    except BaseException:
        havoc.wake_all()
        raise
    havoc.heal()
    if crowd.error is not None:
        raise crowd.error
    report.shopping_s = time.monotonic() - began
    _conclude(stack, merchants, crowd, report, settings)
    report.faults = havoc.dealt
    on_progress(report)
    close_merchants(stack, merchants)
    return report


def _strike_until_done(  # noqa: PLR0913, PLR0917 - the two sides of a seed and what is known of it
    thread: threading.Thread, crowd: Crowd, havoc: Havoc, report: Report, seed: int, settings: Settings,
    on_progress: Callable[[Report], None],
) -> None:  # fmt: skip
    strikes = draw_strikes(seed, settings.payments, settings.apart, settings.blows)
    while thread.is_alive():
        while strikes and strikes[0].at_payment <= crowd.begun:
            havoc.strike(strikes.pop(0))
        havoc.tick()
        report.payments, report.faults = crowd.done, havoc.dealt
        on_progress(report)
        thread.join(_TICK_S)


def _conclude(
    stack: LocalStack, merchants: Sequence[Merchant], crowd: Crowd, report: Report, settings: Settings
) -> None:
    def as_it_stands() -> list[Finding]:
        evidence = gather(stack, merchants)
        report.states = Counter(payment.state for payment in evidence.payments)
        elsewhere = frozenset(str(parse_id(Prefix.PAYMENT, one, "id")) for one in crowd.elsewhere)
        case = Case(evidence, tuple(crowd.calls), elsewhere, tuple(merchant.id for merchant in merchants))
        findings = judge(case)
        subjects = list(dict.fromkeys(finding.subject for finding in findings))[:_DOSSIERS]
        report.dossiers = {subject: dossier(case, subject) for subject in subjects}
        return findings

    report.payments, report.calls, report.attempts = crowd.done, len(crowd.calls), crowd.attempts
    report.refused = sum(not any(answer.id for answer in call.answers) for call in crowd.calls)
    report.healing_s, report.findings = converge(stack, merchants, as_it_stands, settings.patience_s)


def _shop(stack: LocalStack, seed: int, settings: Settings, merchants: Sequence[Merchant], crowd: Crowd) -> None:
    """The thread of the clients."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve_all(stack, seed, settings, merchants, crowd))
    except BaseException as error:
        crowd.error = error


async def _serve_all(
    stack: LocalStack, seed: int, settings: Settings, merchants: Sequence[Merchant], crowd: Crowd
) -> None:
    wire = Wire([f"{LOOPBACK}:{stack.site.ports[name]}" for name in SERVERS])
    numbers = iter(range(settings.payments))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        shop = Shop(wire, http, seed, merchants, stack.sandbox_url)

        async def customers() -> None:
            for number in numbers:
                crowd.begun += 1
                await shop.serve(draw_plan(seed, number, len(merchants)))
                crowd.done += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(settings.customers):
                group.create_task(customers())
        crowd.calls, crowd.elsewhere, crowd.attempts = shop.calls, shop.elsewhere, wire.attempts
    await wire.close()
