"""The crash matrix: every scenario killed at every point that it passes. Run by its test, and to publish its table.

`python -m tests.acceptance.crash_matrix` writes `docs/crash-matrix.md` (`make crash-matrix`, ROUNDS=3 for more).
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from sandbox.local.stack import LocalStack
from tests.acceptance.crash_cells import Books, Row, crash, finish, judge, learn, read_books, theirs
from tests.acceptance.crash_deeds import World
from tests.acceptance.crash_scenarios import SCENARIOS, Scenario
from tests.acceptance.crash_sweeps import FEE_TOLD_AFTER_S, LEASE_S, QUEUES
from tests.acceptance.disputes import EXPLAINS
from tests.acceptance.shop import wait_until
from tests.acceptance.stacks import Platform, merchant_uuid
from tests.acceptance.victims import Job, Nursery, find_all_disputes, sweep
from tests.acceptance.webhook_catcher import Catcher, catching

T = TypeVar("T")
S = TypeVar("S")

DOCUMENT = Path(__file__).parents[2] / "docs" / "crash-matrix.md"
_AT_ONCE = 8
"""Cells under way together: most of them wait for the sandbox or for a lease."""
_HEALED_WITHIN_S = 120.0


def stack(home: Path) -> LocalStack:
    """The stack beside which victims live and die. Only our processes do, so Postgres needs no fsync."""
    return LocalStack(home, servers=1, durable=False, requests_per_key=100_000, requests_per_address=100_000)


def new_world(running: LocalStack, catcher: Catcher) -> World:
    """Makes a merchant, and sees to it that nobody but clients and recovery brings anything to an end."""
    platform = Platform(running)
    for unheard in ("stripe.webhook.*", "paypal.webhook.CHECKOUT.*", "paypal.webhook.PAYMENT.*"):
        platform.fault(kind="webhook_drop", operation=unheard)
    shop = platform.new_shop()
    regular = f"cus_{uuid4().hex}"
    for _ in range(11):
        shop.paid(customer={"id": regular})
    folder = running.home / "victims"
    folder.mkdir(exist_ok=True)
    late, wallet = platform.new_shop(), platform.new_shop()
    account = platform.stripe_account(late).at_processor
    platform.fault(kind="late_fee", operation="stripe.fee", account=account, seconds=FEE_TOLD_AFTER_S)
    wallets = (wallet, platform.paypal_account(wallet, catcher.url))
    merchants = [merchant_uuid(one) for one in (shop, late, wallet)]
    return World(platform, shop, Nursery(running.site, folder), regular, late, wallets, catcher, merchants)


def run(running: LocalStack, scenarios: Iterable[Scenario] = SCENARIOS) -> list[Row]:
    """Kills, heals and checks every cell.

    Raises:
        AssertionError: Names each cell that does not end as it must.
    """
    with catching() as catcher:
        return _run(new_world(running, catcher), running, scenarios)


def _run(world: World, running: LocalStack, scenarios: Iterable[Scenario]) -> list[Row]:
    if world.platform.exit_status("worker") is None:
        running.kill("worker")  # until all have died: what a cell finds is what its own crash has left
    cells = [cell for found in _together(lambda one: learn(world, one), scenarios) for cell in found]
    crashed = _together(lambda one: crash(world, one), cells)
    books = read_books(world)
    before = [one.theirs or theirs(world, one.cell, one.deed, books) for one in crashed]
    heal(world, running)
    payments = _together(lambda one: finish(world, one), crashed)
    books = read_books(world)
    rows = _together(lambda found: judge(world, *found, books), zip(crashed, payments, before, strict=True))
    check_books(world, books)
    return rows


def heal(world: World, running: LocalStack) -> None:
    """Lets recovery run; its first worker dies of it as well, in the middle of a settlement."""
    # Whoever held a lease is dead; time would tell.
    world.platform.execute("UPDATE transactions SET lease_until = now() WHERE owner IS NOT NULL")
    weak = world.nursery.do(
        Job(sweep), "weak-worker", {"kill": "settle_transactions.written", "occurrence": 3}, LEASE_S
    )
    assert weak.died(), f"the first worker ended with {weak.end()}"
    running.restart("worker")
    # The worker looks for disputes every ten minutes only.
    looker = world.nursery.do(Job(find_all_disputes), f"looker-{uuid4().hex}", {}, LEASE_S)
    left = """
        SELECT (SELECT count(*) FROM transactions WHERE state IN ('PENDING', 'UNKNOWN')
                AND (NOT waiting OR owner IS NOT NULL OR lease_until < now())),
               (SELECT count(*) FROM processor_events WHERE handled_at IS NULL)"""
    wait_until(lambda: world.platform.query(left), lambda found: found == [(0, 0)], _HEALED_WITHIN_S)
    assert looker.end() == 0, "disputes could not be looked for"
    for queue, due in QUEUES.items():
        world.platform.execute(f"UPDATE {queue} SET next_attempt_at = now() WHERE {due}")
        left = f"SELECT count(*) FROM {queue} WHERE {due}"
        wait_until(lambda left=left: world.platform.query(left), lambda found: found == [(0,)], _HEALED_WITHIN_S)


def check_books(world: World, books: Books) -> None:
    """Demands that both sides' books agree as a whole, whoever's they are, and that nothing was left in ours."""
    query = world.platform.query
    kept = "SELECT id::text, amount_captured, amount_refunded FROM payments WHERE amount_captured > 0"
    ours = {payment: (captured, refunded) for payment, captured, refunded in query(kept)}
    theirs = {
        payment: (entry["captured"], entry["refunded"])
        for payment, entries in books.items()
        for entry in entries
        if entry["captured"]
    }
    assert ours == theirs, f"books differ: {set(ours.items()) ^ set(theirs.items())}"
    booked = "SELECT payment_id::text, account, sum(amount)::bigint FROM ledger_entries GROUP BY 1, 2"
    ledger = {(payment, account): amount for payment, account, amount in query(booked) if amount}
    explained = {
        (payment, account): explain(entry)
        for payment, entries in books.items()
        for entry in entries
        for account, explain in EXPLAINS.items()
        if explain(entry)
    }
    assert ledger == explained, f"the ledger differs from theirs: {set(ledger.items()) ^ set(explained.items())}"
    for fault, sql in _FAULTS.items():
        found = query(sql, world.merchants)
        assert found == [], f"{fault}: {found}"


_FAULTS = {
    "a trial balance is not zero": """
        SELECT currency, sum(amount) FROM ledger_entries WHERE merchant_id = ANY(%s::uuid[])
        GROUP BY currency HAVING sum(amount) <> 0""",
    "the trial balance of all merchants is not zero": """
        SELECT currency, sum(amount) FROM ledger_entries WHERE %s::uuid[] IS NOT NULL
        GROUP BY currency HAVING sum(amount) <> 0""",
    "a journal is not zero": """
        SELECT journal_id, currency, sum(amount) FROM ledger_entries WHERE merchant_id = ANY(%s::uuid[])
        GROUP BY journal_id, currency HAVING sum(amount) <> 0""",
    "a transaction is open": """
        SELECT id, type, state FROM transactions
        WHERE merchant_id = ANY(%s::uuid[]) AND (state = 'UNKNOWN' OR state = 'PENDING')
              AND NOT (type = 'DISPUTE' AND waiting)""",
    "a refund is reserved still": """
        SELECT id FROM payments WHERE merchant_id = ANY(%s::uuid[]) AND amount_refunding <> 0""",
    "a key has no answer": """
        SELECT key FROM idempotency_keys WHERE merchant_id = ANY(%s::uuid[]) AND answer IS NULL""",
    "the merchant is told something twice": """
        SELECT transaction_id, type, count(*) FROM events
        WHERE merchant_id = ANY(%s::uuid[]) GROUP BY transaction_id, type HAVING count(*) > 1""",
    "a review is open though its payment has moved, or the other way round": """
        SELECT p.id, p.state, r.state FROM payments p
        LEFT JOIN reviews r ON r.merchant_id = p.merchant_id AND r.payment_id = p.id
        WHERE p.merchant_id = ANY(%s::uuid[]) AND (p.state = 'IN_REVIEW') <> COALESCE(r.state = 'OPEN', false)""",
    "people are bothered for nothing": """
        SELECT kind, detail FROM attention_items WHERE merchant_id = ANY(%s::uuid[]) AND kind <> 'EXTERNAL_REFUND'""",
}


def _together(work: Callable[[S], T], items: Iterable[S]) -> list[T]:
    """Does all of it, a few at a time; raises one error that tells of every failure."""
    failures: list[str] = []

    def one(item: S) -> list[T]:
        try:
            return [work(item)]
        except AssertionError as failure:
            failures.append(str(failure))
            return []

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        done = list(threads.map(one, items))
    assert not failures, f"{len(failures)} failed:\n" + "\n".join(failures)
    return [result for results in done for result in results]


def render(rows: Sequence[Row]) -> str:
    """Writes the published document."""
    lines = [_HEAD.format(cells=len(rows), scenarios=len({row.scenario for row in rows}))]
    scenario = ""
    for row in rows:
        if row.scenario != scenario:
            scenario = row.scenario
            lines.append(f"\n## {scenario[0].upper()}{scenario[1:]}\n{_COLUMNS}")
        lines.append(f"| {row.point} | {row.ours} | {row.theirs} | {row.healed} | {row.end} |")
    return "\n".join(lines) + "\n"


_COLUMNS = "| killed at | Kassa has then | the processor has then | healed by | end |\n|---|---|---|---|---|"
_HEAD = """# The crash matrix
Written by `make crash-matrix`; `make test` runs it all and fails where this page says otherwise.

A process of Kassa is killed (`SIGKILL`) at each point that an operation passes: {cells} cells of {scenarios} scenarios.
A server dies, and where a scenario is named after recovery or the worker, the process that does their work.
The points are named by the code itself (`server/crash_points.py`): `before` each durable step, when it has `written`
and when it has `committed`, and `before` and `after` each call to a processor. Its client sees the connection break. No
webhook arrives, so nothing but clients and the worker can heal; the first worker that tries is killed as well.

Then, for every cell: the client repeats its call with the same key at another server, twice, and is told of the same
payment as it stands; there is one charge at most, of the right amount; nothing is open, reserved, unanswered or told
twice; every journal and the trial balance are zero; and each account of the ledger (captures, refunds, disputes,
reserve, fees) is to the cent what the processor's books say of that payment."""


def main() -> None:
    """Runs the matrix as often as asked, and publishes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder)) as running:
        for number in range(1, rounds + 1):
            rows = run(running)
            print(f"round {number}: {len(rows)} cells, every one as it must be", file=sys.stderr)
    DOCUMENT.write_text(render(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
