"""What Prometheus reads of a server or a worker: every metric by name, unit and labels. Made and served by `bootstrap`.

No label holds an id, a card's data or a secret: each comes from a closed vocabulary of the code, or is the content hash
of a ruleset in force.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from server.domain.attention import AttentionKind
from server.domain.payment import OPEN_TRANSACTION_STATES, Payment, Transaction
from server.domain.rulesets import Role
from server.storage.book_checks import CHECKS, PROCESSOR_TOTALS
from server.storage.group_commit import Batch, GroupCommit
from server.storage.standing import Standing
from server.usecases.follow_releases import FILE

_QUICK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SLOW_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_ROWS = (1, 2, 5, 10, 20, 50, 100)
RULES_SOURCES = (FILE, *(role.value for role in Role))
SCREENING_PARTS = ("facts", "engine", "evaluator", "shadow")


class Metrics:
    """The metrics of one process, in a registry of its own; the methods are what the other parts call."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._calls = self._histogram("rpc_seconds", "Calls by gRPC method and status", _SLOW_S, "method", "status")
        self._settled = Counter(
            "kassa_settled",
            "What became of transactions: by processor, type, the payment's state after it, and why it failed",
            ["processor", "type", "payment_state", "failure"],
            registry=registry,
        )
        self._processor_calls = self._histogram(
            "processor_seconds", "Calls to processors by operation and outcome", _SLOW_S,
            "processor", "operation", "outcome",
        )  # fmt: skip
        self._batch_rows = self._histogram("commit_batch_rows", "Rows that share a transaction", _ROWS)
        self._batch_wait = self._histogram("commit_wait_seconds", "Wait of a batch's oldest row", _QUICK_S)
        self._batch_write = self._histogram("commit_write_seconds", "A batch's statements", _QUICK_S)
        self._batch_commit = self._histogram("commit_seconds", "A batch's COMMIT", _QUICK_S)

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"kassa_{name}", says, labels, buckets=buckets, registry=self.registry)

    def call_ended(self, method: str, status: str, seconds: float) -> None:
        """A call was answered; `method` is the whole path of one that we serve."""
        self._calls.labels(method, status).observe(seconds)

    def settled(self, payment: Payment, transaction: Transaction) -> None:
        """A transaction came to an end, or the rules blocked its payment; or it waits."""
        failure = transaction.failure or payment.failure
        why = "" if failure is None else failure.code.value
        self._settled.labels(transaction.processor, transaction.type.value, payment.state.value, why).inc()

    def processor_called(self, processor: str, operation: str, outcome: str, seconds: float) -> None:
        """A processor has answered, or has not."""
        self._processor_calls.labels(processor, operation, outcome).observe(seconds)

    def batch_written(self, batch: Batch) -> None:
        """A batch was committed; called on the writers' threads."""
        self._batch_rows.observe(batch.rows)
        self._batch_wait.observe(batch.waited_s)
        self._batch_write.observe(batch.write_s)
        self._batch_commit.observe(batch.commit_s)

    def watch_queue(self, commit: GroupCommit) -> None:
        """Shows how many rows wait for their commit, whenever somebody looks."""
        waiting = Gauge("kassa_commit_waiting_rows", "Rows that wait for their commit", registry=self.registry)
        waiting.set_function(commit.waiting)


class StandingMetrics:
    """What the database holds, whoever works on it: shown by workers, each the same."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge(
            "kassa_open_transactions", "Transactions that are not over", ["state"], registry=registry
        )  # fmt: skip
        self._oldest_unknown = Gauge(
            "kassa_oldest_unknown_seconds", "Age of the oldest transaction whose fate is unknown", registry=registry
        )
        self._events = Gauge("kassa_unhandled_events", "Webhooks stored and not handled", registry=registry)
        self._oldest_event = Gauge("kassa_oldest_event_seconds", "Age of the oldest of them", registry=registry)
        self._attention = Gauge(
            "kassa_open_attention_items", "What people must look at", ["kind"], registry=registry
        )  # fmt: skip
        self._fees = Gauge("kassa_fees_due", "Captures whose fee is not known yet", registry=registry)
        self._overdue = Gauge("kassa_overdue_payments", "Payments whose time is over", registry=registry)
        self._drift = Gauge(
            "kassa_books_drift", "Payments that break a check of the books: must be 0", ["check"], registry=registry
        )

    def show(self, standing: Standing) -> None:
        """Sets every gauge; what there is none of is zero, not missing."""
        for state in OPEN_TRANSACTION_STATES:
            self._open.labels(state.value).set(standing.open_transactions.get(state.value, 0))
        for kind in AttentionKind:
            self._attention.labels(kind.value).set(standing.attention.get(kind.value, 0))
        for check in (*(one.name for one in CHECKS), PROCESSOR_TOTALS):
            self._drift.labels(check).set(standing.drift.get(check, 0))
        self._oldest_unknown.set(standing.oldest_unknown_s)
        self._events.set(standing.unhandled_events)
        self._oldest_event.set(standing.oldest_event_s)
        self._fees.set(standing.fees_due)
        self._overdue.set(standing.overdue_payments)


class RulesMetrics:
    """Which fraud rules a server obeys, and what went wrong with them; all but the first must stay 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._info = Gauge(
            "kassa_ruleset_info", "Rulesets in force: always 1; the hash is how decisions name them", ["role", "hash"],
            registry=registry,
        )  # fmt: skip
        self._failures = Counter(
            "kassa_screening_failures", "Payments on which a part of screening failed: must be 0", ["role", "part"],
            registry=registry,
        )  # fmt: skip
        self._rejected = Counter(
            "kassa_rules_rejected", "Edits of the rule file and releases that this server refused", ["source"],
            registry=registry,
        )  # fmt: skip
        self._not_obeyed = Gauge(
            "kassa_rules_not_obeyed", "1 where the newest rules are not in force here: must be 0", ["source"],
            registry=registry,
        )  # fmt: skip
        for source in RULES_SOURCES:
            self._rejected.labels(source)
            self._not_obeyed.labels(source)
        for role in Role:
            for part in SCREENING_PARTS:
                self._failures.labels(role.value, part)

    def rules_in_force(self, hashes: Mapping[Role, str]) -> None:
        """What has which role now."""
        self._info.clear()
        for role, version in hashes.items():
            self._info.labels(role.value, version).set(1)

    def rules_rejected(self, source: str) -> None:
        """An edit (`file`) or a release (its role) did not pass."""
        self._rejected.labels(source).inc()

    def rules_not_obeyed(self, sources: Collection[str]) -> None:
        """Whose newest rules are not in force here."""
        for source in RULES_SOURCES:
            self._not_obeyed.labels(source).set(source in sources)

    def screening_failed(self, role: Role, part: str) -> None:
        """A back end failed on a payment, which the other decided, or nobody, and then it waits for people."""
        self._failures.labels(role.value, part).inc()


@contextmanager
def serving(registry: CollectorRegistry, listen: str | None) -> Iterator[None]:
    """Serves `/metrics` on `host:port` for the block; nothing where no address is set."""
    if listen is None:
        yield
        return
    host, _, port = listen.rpartition(":")
    server, thread = start_http_server(int(port), host.strip("[]"), registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
