"""`kassa check-books` as an operator runs it: a table or JSON, and an exit status that a script can trust."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from tests.cluster import TEMPLATE, Cluster, Database

KASSA = str(Path(sys.executable).with_name("kassa"))
PAYMENT = """
    INSERT INTO payments SELECT (jsonb_populate_record(NULL::payments, CAST(:row AS jsonb))).*;
    INSERT INTO transactions SELECT (jsonb_populate_record(NULL::transactions, CAST(:transaction AS jsonb))).*
"""


@pytest.fixture
def database(postgres: Cluster) -> Iterator[Database]:
    """An empty one."""
    name = f"kassa_books_{uuid4().hex}"
    yield postgres.create_database(name, TEMPLATE)
    postgres.drop_database(name)


def check_books(database: Database, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": os.environ["PATH"],
        "COLUMNS": "200",
        "KASSA_DATABASE_URL": database.writer_url,
        "KASSA_DATABASE_READER_URL": database.reader_url,
        "KASSA_SECRET_KEY": "s" * 32,
        "KASSA_ENCRYPTION_KEY": "ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU=",
    }
    command = [KASSA, "check-books", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def one_that_failed_and_yet_is_completed(database: Database) -> None:
    merchant, payment = str(uuid4()), str(uuid4())
    empty = {
        "billing_address": {},
        "shipping_address": {},
        "metadata": {},
        "detail": {},
        "idempotency_keys": [],
        "processor_checks": {},
    }
    times = {name: "2026-01-01T00:00:00Z" for name in ("created_at", "updated_at", "lease_until")}
    texts = (
        "card_brand card_last4 card_fingerprint card_bin email_key email_domain holder_hash shipping_key "
        "customer_id customer_email customer_phone customer_user_agent customer_ip customer_device_id description "
        "return_url cancel_url redirect_url processor_payment_id processor_authorization_id processor_capture_id "
        "processor_transaction_id reason"
    )
    amounts = ("amount_authorized", "amount_captured", "amount_refunded", "amount_refunding", "amount_disputed")
    row = {
        "merchant_id": merchant, "id": payment, "payment_id": payment, "state": "COMPLETED", "amount": 1999,
        "currency": "USD", "method": "CREDIT_CARD", "capture_method": "AUTOMATIC", "beyond_limit": False,
        "early_fraud_warning": False,
        "processor": "stripe", "processor_account_id": merchant, "test_mode": True, "type": "AUTHORIZATION",
        "waiting": False, "attempts": 0, **dict.fromkeys(texts.split(), ""), **dict.fromkeys(amounts, 0), **times,
        **empty,
    }  # fmt: skip
    engine = create_engine(database.owner_url)
    with engine.begin() as connection:
        for statement, values in zip(PAYMENT.split(";"), ({"row": row}, {"transaction": row}), strict=True):
            name, value = next(iter(values.items()))
            changed = value | {"state": "FAILED"} if name == "transaction" else value
            connection.execute(text(statement), {name: json.dumps(changed)})
    engine.dispose()


def test_books_that_hold_together_are_shown_as_a_table(database: Database) -> None:
    done = check_books(database)
    assert done.returncode == 0, done.stderr
    for name in ("journals_balance", "ledger_equals_payment", "state_follows_transactions"):
        assert name in done.stdout


def test_a_script_sees_by_the_status_that_they_do_not(database: Database) -> None:
    one_that_failed_and_yet_is_completed(database)
    shown, told = check_books(database), check_books(database, "--json")
    assert (shown.returncode, told.returncode) == (1, 1)
    assert "state_follows_transactions: pay_" in shown.stdout
    report = json.loads(told.stdout)
    assert report["payments"] == 1
    assert [drift["check"] for drift in report["drifts"]] == ["state_follows_transactions"]
