"""One cell of the crash matrix: a scenario, a point, a process that dies there, and what is demanded afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import grpc
import requests

from server.domain.ids import Prefix, render_id
from tests.acceptance.crash_deeds import Answer, Deed, World, repeat, send
from tests.acceptance.crash_scenarios import Scenario
from tests.acceptance.crash_sweeps import LEASE_S, OPEN
from tests.acceptance.shop import TIMEOUT_S, Json
from tests.acceptance.stacks import merchant_uuid, payment_uuid
from tests.acceptance.victims import Victim


@dataclass(frozen=True)
class Cell:
    """Where a process dies. `occurrence` counts how often the scenario passes the point."""

    scenario: Scenario
    point: str
    occurrence: int

    def __str__(self) -> str:
        again = f" (time {self.occurrence})" if self.occurrence > 1 else ""
        return f"{self.scenario.name}: {self.point}{again}"


@dataclass(frozen=True)
class Crashed:
    """A cell whose process has died.

    Attributes:
        ours: What stood in Kassa's books then.
        theirs: What stood in the processor's; empty where nothing has changed it since.
        answers: What the client's repeats were told so far.
    """

    cell: Cell
    deed: Deed
    ours: str
    theirs: str = ""
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class Row:
    """A line of the published table."""

    scenario: str
    point: str
    ours: str
    theirs: str
    healed: str
    end: str


Books = dict[str, list[Json]]
"""What the processors hold, by Kassa's id of the payment."""
NOTHING, ANSWERED = "nothing of it", "all, with the answer"
STORED, HANDLED = "the event, not handled", "the event, handled"
_NOBODY = "nobody needs to"


@contextmanager
def named(cell: Cell) -> Iterator[None]:
    """Says in which cell a demand was not met."""
    try:
        yield
    except (AssertionError, grpc.RpcError) as error:
        raise AssertionError(f"{cell}: {error}") from error


def _start(world: World, deed: Deed, orders: dict[str, object]) -> Victim:
    name = f"victim-{uuid4().hex}"
    if deed.job is not None:
        return world.nursery.do(deed.job, name, orders, LEASE_S)
    return world.nursery.serve(name, orders, LEASE_S)


@contextmanager
def _first_in_queue(world: World, deed: Deed) -> Iterator[None]:
    """Puts the deed's payment before all others, and to the end again."""
    if not deed.queue:
        yield
        return
    move = f"UPDATE {deed.queue} SET next_attempt_at = %s::timestamptz WHERE payment_id = %s::uuid"
    with world.alone:
        world.platform.execute(move, "epoch", payment_of(world, deed))
        try:
            yield
        finally:
            world.platform.execute(move, "infinity", payment_of(world, deed))


def learn(world: World, scenario: Scenario) -> list[Cell]:
    """Runs a scenario to its end, and returns a cell for each point that it passed, in their order."""
    deed = scenario.prepare(world)
    trace = world.nursery.folder / f"trace-{uuid4().hex}"
    with _first_in_queue(world, deed):
        victim = _start(world, deed, {"trace": str(trace)})
        if deed.job is None:
            assert send(world, victim, deed) is not None, f"{scenario.name}: the victim died of itself"
            victim.kill()
        else:
            assert victim.end() == 0, f"{scenario.name}: the job failed"
    if scenario.goes_on:
        finish(world, Crashed(Cell(scenario, "nowhere", 1), deed, ANSWERED))
    points = trace.read_text(encoding="utf-8").split()
    return [Cell(scenario, point, points[: number + 1].count(point)) for number, point in enumerate(points)]


def crash(world: World, cell: Cell) -> Crashed:
    """Lets a process die at the cell's point, and notes what stands then."""
    with named(cell):
        deed = cell.scenario.prepare(world)
        with _first_in_queue(world, deed):
            victim = _start(world, deed, {"kill": cell.point, "occurrence": cell.occurrence})
            if deed.job is None:
                answer = send(world, victim, deed)
                assert answer is None, f"it lived and answered {answer}"
            assert victim.died(), f"it ended with {victim.end()}"
        ours = _ours(world, deed)
        if not cell.scenario.at_once:
            return Crashed(cell, deed, ours)
        before = theirs(world, cell, deed, read_books(world))
        return Crashed(cell, deed, ours, before, (repeat(world, deed),))


def _ours(world: World, deed: Deed) -> str:
    query = world.platform.query
    if deed.event_id:
        found = query("SELECT handled_at IS NOT NULL FROM processor_events WHERE event_id = %s", deed.event_id)
        return NOTHING if not found else HANDLED if found[0][0] else STORED
    if deed.job is not None:
        return str(query(deed.stage, payment_of(world, deed))[0][0])
    claims = "SELECT answer IS NOT NULL FROM idempotency_keys WHERE merchant_id = %s::uuid AND key = %s"
    found = query(claims, merchant_uuid(deed.shop or world.shop), deed.key)
    return NOTHING if not found else ANSWERED if found[0][0] else OPEN


def payment_of(world: World, deed: Deed) -> str:
    """Returns the id of the deed's payment as the database holds it, or nothing while there is none."""
    if deed.payment is not None:
        return str(payment_uuid(deed.payment))
    made = "SELECT id::text FROM payments WHERE merchant_id = %s::uuid AND metadata->>'cell' = %s"
    found = world.platform.query(made, merchant_uuid(world.shop), deed.label)
    assert len(found) <= 1, f"one key made {len(found)} payments"
    return str(found[0][0]) if found else ""


def read_books(world: World) -> Books:
    """Reads what the processors hold, by Kassa's id of each payment; fences were never charges."""
    books = requests.get(f"{world.shop.sandbox_url}/books", timeout=TIMEOUT_S).json()["accounts"]
    found: Books = {}
    for entry in (entry for account in books for entry in account["payments"]):
        metadata = entry.get("metadata", {})
        if "kassa_fence" not in metadata:
            found.setdefault(entry.get("invoice") or metadata.get("kassa_payment", ""), []).append(entry)
    return found


def theirs(world: World, cell: Cell, deed: Deed, books: Books) -> str:
    """Says what the processor has of a cell's payment."""
    with named(cell):
        entries = books.get(payment_of(world, deed), [])
        assert len(entries) <= 1, f"the processor holds {len(entries)} payments for one of ours"
        return _told(entries[0]) if entries else "nothing"


def _told(entry: Json) -> str:
    moved = ", ".join(_money(entry["captured"], entry["refunded"])) or str(entry["state"]).lower()
    disputes = [_dispute(one["state"].lower(), one["disputed"], one["held"]) for one in entry["disputes"]]
    return "; ".join([moved, *disputes])


def healed_by(crashed: Crashed) -> str:
    """Says who brings a cell to its end."""
    if crashed.deed.event_id:
        return {NOTHING: "the processor sends it again", STORED: "the sweep of events"}.get(crashed.ours, _NOBODY)
    if crashed.deed.job is not None:
        return crashed.deed.heals.get(crashed.ours, _NOBODY)
    who = "the client's repeat carries it on" if crashed.cell.scenario.at_once else "recovery"
    return {NOTHING: "the client's repeat begins anew", OPEN: who}.get(crashed.ours, _NOBODY)


def finish(world: World, crashed: Crashed) -> Json:
    """Repeats the call twice more and lets the customer go on; returns the payment as it stands then."""
    cell, deed = crashed.cell, crashed.deed
    with named(cell):
        answers = crashed.answers
        if deed.job is None:
            answers = (*answers, *(repeat(world, deed) for _ in range(2)))
        if deed.rpc and not deed.event_id:
            _check_answers(world, deed, answers)
        about = {"id": render_id(Prefix.PAYMENT, UUID(payment_of(world, deed)))}
        payment = (deed.shop or world.shop).get(about)
        if cell.scenario.goes_on and payment["state"] == "PENDING":
            world.shop.act(payment)
            assert world.shop.post(payment, "confirm").ok
            payment = world.shop.get(about)
        return payment


def judge(world: World, crashed: Crashed, payment: Json, before: str, books: Books) -> Row:
    """Holds a payment and its dispute against what its scenario allows and against the processor's books.

    Args:
        before: What the processor had when the process died.
        books: What it has now.
    """
    cell = crashed.cell
    with named(cell):
        end = (payment["state"], int(payment["amount_captured"]), int(payment["amount_refunded"]))
        assert end in cell.scenario.ends, f"it ends as {end}"
        found = "SELECT state, amount_withdrawn, amount_held FROM disputes WHERE payment_id = %s::uuid"
        disputes = world.platform.query(found, str(payment_uuid(payment["id"])))
        assert disputes == ([cell.scenario.dispute] if cell.scenario.dispute else []), f"its disputes are {disputes}"
        entries = books.get(str(payment_uuid(payment["id"])), [])
        taken = [(entry["captured"], entry["refunded"]) for entry in entries if entry["captured"]]
        assert taken == ([end[1:]] if end[1] else []), f"the processor has {taken}, Kassa has {end}"
        assert end[0] != "CANCELLED" or [one["state"] for one in entries] == ["canceled"], f"still held: {entries}"
        told = "; ".join([_tell(payment, end), *(_dispute(*one) for one in disputes)])
        return Row(cell.scenario.name, _point(cell), crashed.ours, before, healed_by(crashed), told)


def _check_answers(world: World, deed: Deed, answers: tuple[Answer, ...]) -> None:
    *_, before, last = answers
    assert last.replayed, f"a repeat is not told as one: {last}"
    told, payment = last.body, payment_of(world, deed)
    # A payment that waits for its customer is told as it stands; every other answer is final.
    assert before.body == last.body or told["state"] == "PENDING", f"two repeats are told {before} and {last}"
    if "Dispute" in deed.rpc:
        assert str(payment_uuid(told["payment_id"])) == payment, f"told of another payment: {told}"
        stands = world.platform.query("SELECT state FROM disputes WHERE payment_id = %s::uuid", payment)
        assert [(told["state"],)] == stands, f"told {told['state']}, and it is {stands}"
    elif "Review" in deed.rpc:
        assert str(payment_uuid(told["payment"]["id"])) == payment, f"told of another payment: {told}"
        stands = world.platform.query("SELECT state FROM reviews WHERE payment_id = %s::uuid", payment)
        assert [(told["state"],)] == stands != [("OPEN",)], f"told {told['state']}, and it is {stands}"
    elif deed.rpc == "RefundPayment":
        assert str(payment_uuid(told["payment_id"])) == payment, f"told of another payment: {told}"
        assert told["state"] == "COMPLETED", f"told {told}"
    else:
        assert str(payment_uuid(told["id"])) == payment, f"told of another payment: {told}"
        stands = world.platform.query("SELECT state FROM payments WHERE id = %s::uuid", payment)
        assert [(told["state"],)] == stands, f"told {told['state']}, and it is {stands}"


def _point(cell: Cell) -> str:
    return f"`{cell.point}`" + (f" ({cell.occurrence})" if cell.occurrence > 1 else "")


def _tell(payment: Json, end: tuple[str, int, int]) -> str:
    state, captured, refunded = end
    why = f" ({payment['failure']['code']})" if payment.get("failure") else ""
    money = _money(captured, refunded)
    return f"{state}{why}" + (f", {', '.join(money)} once" if money else ", no money moved")


def _dispute(state: str, withdrawn: int, held: int) -> str:
    moved = [f"{amount / 100:.2f} {word}" for word, amount in (("gone", withdrawn), ("held", held)) if amount]
    return ", ".join([f"dispute {state}", *moved])


def _money(captured: int, refunded: int) -> list[str]:
    return [f"{word} {amount / 100:.2f}" for word, amount in (("taken", captured), ("returned", refunded)) if amount]
