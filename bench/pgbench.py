"""The database alone, as a baseline: what Postgres does when nothing but a payment's own rows is asked of it.

pgbench writes the very rows that the gateway writes for one approved, automatically captured card payment, in the same
two transactions and on the same schema, with its indexes, triggers and constraints: `pgbench_payment.sql`, plain
statements one after the other. Rows only: no idempotency look-up, no velocity reads, no screening, no locking reads, no
processor, no JSON made per payment. Less work than the gateway has with its database, so harder to keep up with. The
processor's webhook is no part of it: the gateway stores it in a transaction of its own.

The JSON documents are those that the gateway wrote for `buyers.order(1)`; a test says so. They are sent as parameters.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import make_url

from bench.buyers import BUYERS, CARD_BIN, MERCHANT_PREFIX, MERCHANTS

_SCRIPT: Final = Path(__file__).with_name("pgbench_payment.sql")
_DOCUMENTS: Final = Path(__file__).with_name("payment.json")
_GRACE_S: Final = 60.0
_REPORT: Final = {
    "payments": r"^number of transactions actually processed: (\d+)",
    "failed": r"^number of failed transactions: (\d+)",
    "latency_ms": r"^latency average = ([\d.]+) ms",
    "payments_per_s": r"^tps = ([\d.]+) ",
}


class PgbenchError(Exception):
    """pgbench did not do what it was asked; the text says what it did, in its own last words where it has any."""


@dataclass(frozen=True, slots=True)
class PgbenchResult:
    """What pgbench reports.

    Attributes:
        payments: How many were written, each by two transactions.
        payments_per_s: Over all clients, without the time that connecting took.
        latency_ms: The mean time of both transactions of a payment together.
    """

    payments: int
    payments_per_s: float
    latency_ms: float


@cache
def documents() -> Mapping[str, Any]:
    """What the gateway wrote for one payment: its snapshot, the facts of its decision, and the processor's call."""
    found: Mapping[str, Any] = json.loads(_DOCUMENTS.read_text(encoding="utf-8"))
    return found


def run(program: Path, dsn: str, *, seconds: float, clients: int = 8) -> PgbenchResult:
    """Writes payments as fast as the database takes them from so many connections.

    Args:
        program: pgbench; `EmbeddedPostgres.program("pgbench")` of the local stack's Postgres.
        dsn: Of a migrated database and the server's own role, the writer.
        seconds: For how long; pgbench knows whole ones only, so it is rounded, and one at the least.

    Raises:
        PgbenchError: pgbench cannot be run, was refused, did not end in time or reports failed transactions.
    """
    limit = max(1, round(seconds))
    return _play(program, dsn, ["-c", str(clients), "-j", "2", "-T", str(limit)], limit + _GRACE_S)


def write_payments(program: Path, dsn: str, count: int) -> PgbenchResult:
    """Writes so many payments one after the other; raises as `run` does."""
    return _play(program, dsn, ["-c", "1", "-t", str(count)], count + _GRACE_S)


def parse_report(printed: str) -> PgbenchResult:
    """Reads what pgbench prints at its end.

    Raises:
        PgbenchError: Transactions failed, none was made, or a number is missing.
    """
    numbers: dict[str, str] = {}
    for name, pattern in _REPORT.items():
        found = re.search(pattern, printed, re.MULTILINE)
        if found is None:
            raise PgbenchError(f"pgbench does not say its {name.replace('_', ' ')}:\n{printed.strip()}")
        numbers[name] = found[1]
    if int(numbers["failed"]):
        raise PgbenchError(f"{numbers['failed']} of pgbench's payments failed")
    if not int(numbers["payments"]):
        raise PgbenchError("pgbench wrote no payment in the time that it had")
    return PgbenchResult(int(numbers["payments"]), float(numbers["payments_per_s"]), float(numbers["latency_ms"]))


def _play(program: Path, dsn: str, options: Sequence[str], timeout_s: float) -> PgbenchResult:
    variables = [f"--define={name}={value}" for name, value in _variables().items()]
    command: list[str | Path] = [program, "-n", "-M", "extended", *options, *variables, "-f", _SCRIPT]
    environment = {"PATH": os.defpath, "LC_ALL": "C", **_connection(dsn)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)
    except OSError as error:
        raise PgbenchError(f"pgbench cannot be run: {error}") from error
    except subprocess.TimeoutExpired:
        raise PgbenchError(f"pgbench did not end within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        raise PgbenchError(f"pgbench gave up with exit code {done.returncode}:\n{_last_words(done.stderr)}")
    return parse_report(done.stdout)


def _connection(dsn: str) -> dict[str, str]:
    """The DSN as libpq's variables: a command line would show the password to everybody."""
    url = make_url(dsn)
    named = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    return {name: str(value) for name, value in {**named, "PGDATABASE": url.database}.items() if value is not None}


def _variables() -> dict[str, str]:
    known = documents()
    payment = known["payment"]
    values = {
        "answer": {"payment": payment},
        "facts": known["facts"],
        "address": payment["billing_address"],
        "metadata": payment["metadata"],
        "checks": payment["processor_checks"],
        "detail": {"request_id": "d9fa6e91-2ede-42fc-983d-864cef97a5f1"},
        "request": known["request"],
        "response": known["response"],
    }
    texts = {
        "merchants": str(MERCHANTS),
        "merchant_prefix": MERCHANT_PREFIX,
        "buyers": str(BUYERS),
        "card_bin": CARD_BIN,
        "ruleset": payment["fraud"]["ruleset"],
        "user_agent": payment["customer_user_agent"],
        "request_hash": "\\x" + "5a" * 32,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()} | texts


def _last_words(printed: str) -> str:
    """The end of what pgbench complained of, without what repeats for each client."""
    return "\n".join(dict.fromkeys(printed.strip().splitlines()))[-2_000:]
