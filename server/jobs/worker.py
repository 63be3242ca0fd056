"""The worker process: procrastinate runs the sweeps periodically. Called by `bootstrap`.

No job is ever deferred on the payment path; the sweeps look at partial indexes, so an idle one costs next to nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from sqlalchemy.engine import make_url

from server.usecases.check_books import CheckBooks
from server.usecases.collect_fees import CollectFees
from server.usecases.compare_processor import CompareProcessor
from server.usecases.decide_overdue_reviews import DecideOverdueReviews
from server.usecases.find_disputes import FindDisputes
from server.usecases.keep_counters import KeepCounters
from server.usecases.sweep import Sweep

_log = logging.getLogger(__name__)

# croniter's six-field form: the last field is seconds.
EVERY_2_SECONDS = "* * * * * */2"
EVERY_10_SECONDS = "* * * * * */10"
EVERY_MINUTE = "* * * * *"
EVERY_10_MINUTES = "*/10 * * * *"
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeps:
    """What the worker runs again and again."""

    sweep: Sweep
    collect_fees: CollectFees
    check_books: CheckBooks
    compare_processor: CompareProcessor
    find_disputes: FindDisputes
    decide_reviews: DecideOverdueReviews
    keep_counters: KeepCounters


def make_worker(database_url: str, sweeps: Sweeps) -> procrastinate.App:
    """Builds procrastinate's app with the sweeps registered.

    Args:
        database_url: The writer's DSN in SQLAlchemy's form; procrastinate brings psycopg 3 for itself alone.
    """
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=4))
    _register(app, "transactions", EVERY_2_SECONDS, sweeps.sweep.transactions)
    _register(app, "processor_events", EVERY_2_SECONDS, sweeps.sweep.events)
    _register(app, "payment_deadlines", EVERY_2_SECONDS, sweeps.sweep.deadlines)
    _register(app, "reviews", EVERY_2_SECONDS, sweeps.decide_reviews)
    _register(app, "idempotency_keys", EVERY_MINUTE, sweeps.sweep.keys)
    _register(app, "newest_books", EVERY_10_SECONDS, sweeps.check_books.newest)
    _register(app, "all_books", EVERY_2_SECONDS, sweeps.check_books.walk)
    _register(app, "processor_books", EVERY_MINUTE, sweeps.compare_processor)
    _register(app, "fees", EVERY_2_SECONDS, sweeps.collect_fees)
    _register(app, "disputes", EVERY_10_MINUTES, sweeps.find_disputes)
    _register(app, "counters", EVERY_MINUTE, sweeps.keep_counters)
    _register_retries(app)
    return app


async def keep_sweeping(database_url: str, sweeps: Sweeps, told: asyncio.Event) -> None:
    """Runs the sweeps until `told` is set; what they have begun is finished. Outlives a database that goes away."""
    try:
        while not told.is_set():
            try:
                await run_sweeps(database_url, sweeps, told)
            except ConnectorException as error:
                _log.warning("the worker begins anew: %s", error)
            await asyncio.wait([asyncio.create_task(told.wait())], timeout=_PAUSE_S)
    finally:
        await sweeps.sweep.close()


async def run_sweeps(database_url: str, sweeps: Sweeps, told: asyncio.Event) -> None:
    """Runs the sweeps until `told` is set, then lets those that have begun end.

    Raises:
        ConnectorException: The database went away; whoever calls begins anew.
    """
    app = make_worker(database_url, sweeps)
    async with app.open_async():
        # Nobody notifies: every job is a periodic one of this process, found by looking each second.
        worker = app.run_worker_async(
            name="kassa",
            concurrency=8,
            delete_jobs="always",
            listen_notify=False,
            fetch_job_polling_interval=1.0,
            install_signal_handlers=False,
        )
        working, stopping = asyncio.create_task(worker), asyncio.create_task(told.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        working.cancel()  # procrastinate waits for the jobs that run
        with suppress(asyncio.CancelledError):
            await working


def _register(app: procrastinate.App, name: str, cron: str, work: Callable[[], Awaitable[int]]) -> None:
    """Registers a sweep. One waits in the queue at most; that two may run at once is harmless, since work is leased."""

    @app.periodic(cron=cron, queueing_lock=name)
    @app.task(name=f"sweep_{name}", pass_context=False)
    async def sweep(timestamp: int) -> None:
        done = await work()
        if done:
            _log.info("sweep of %s: %d", name, done)


def _register_retries(app: procrastinate.App) -> None:
    """A killed worker's job is restarted by nobody else."""

    @app.periodic(cron=EVERY_MINUTE, queueing_lock="stalled_jobs")
    @app.task(name="retry_stalled_jobs", pass_context=False)
    async def retry_stalled_jobs(timestamp: int) -> None:
        for job in await app.job_manager.get_stalled_jobs():
            try:
                await app.job_manager.retry_job(job)
            except AlreadyEnqueued:  # its successor waits already
                assert job.id is not None
                await app.job_manager.finish_job_by_id_async(job.id, procrastinate.jobs.Status.FAILED, delete_job=True)
