"""Stored decisions as input of a backtest: what of them is read, and what the past of a payment is made of."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

from fraud_rules.backtest import DataError, Label, Payment, run_backtest
from fraud_rules.backtest.payments import micros
from fraud_rules.decision import Outcome
from fraud_rules.facts import VOCABULARY
from server.backtest_source import StoredDecisions
from server.domain.ids import Prefix, render_id
from server.storage.engine import dumps
from tests.cluster import Database
from tests.fraud_rules.rulefiles import load_text, rule, ruleset_text, write_rules

START = datetime(2026, 3, 1, tzinfo=UTC)
KASSA = str(Path(sys.executable).with_name("kassa"))
TEXTS = (
    "card_brand card_last4 card_fingerprint customer_id customer_email customer_ip customer_device_id description "
    "return_url cancel_url redirect_url processor_payment_id processor_authorization_id processor_capture_id "
    "processor_transaction_id reason"
)
AMOUNTS = ("amount_authorized", "amount_captured", "amount_refunded", "amount_refunding", "amount_disputed")


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    made = create_engine(database.writer_url)
    yield made
    made.dispose()


class Shop:
    """A merchant whose payments are made in a test's words."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine, self.id = engine, uuid4()
        self.source = StoredDecisions(lambda: database.reader_url)

    def pay(self, minutes: int, *, facts: dict[str, object] | None = None, **changes: object) -> UUID:
        """Stores a payment and its decision, some minutes after the first of March."""
        payment, at = uuid4(), START + timedelta(minutes=minutes)
        row: dict[str, object] = {
            "merchant_id": self.id, "id": payment, "payment_id": payment, "state": "COMPLETED", "amount": 1999,
            "currency": "USD", "method": "CREDIT_CARD", "capture_method": "AUTOMATIC", "beyond_limit": False,
            "processor": "stripe", "processor_account_id": self.id, "test_mode": True, "outcome": "ALLOW",
            "score_thousandths": 0, "rules": [], "shadow_rules": [], "ruleset": "hash", "facts": facts or {},
            **dict.fromkeys(TEXTS.split(), ""), **dict.fromkeys(AMOUNTS, 0), "created_at": at, "updated_at": at,
            "billing_address": {}, "shipping_address": {}, "metadata": {},
        } | changes  # fmt: skip
        for table in ("payments", "fraud_decisions"):
            self.insert(table, row)
        return payment

    def insert(self, table: str, row: dict[str, object]) -> None:
        """Stores what of the row the table has; the rest of the table is as its columns' defaults say."""
        columns = text("SELECT attname FROM pg_attribute WHERE attrelid = CAST(:t AS regclass) AND attnum > 0")
        with self._engine.begin() as connection:
            names = ", ".join(name for name in connection.scalars(columns, {"t": table}) if name in row)
            statement = f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::{table}, :row)"
            connection.execute(text(statement.replace(":row", "CAST(:row AS jsonb)")), {"row": dumps(row)})

    def read(
        self, *needed: str, since: datetime = START, until: datetime | None = None, reach_s: int | None = 0
    ) -> list[Payment]:
        """Reads the merchant's payments back."""
        source = self.source.stored_payments(since, until, render_id(Prefix.MERCHANT, self.id))
        return list(source.open(VOCABULARY, needed, reach_s).payments(lambda share: None))


@pytest.fixture
def shop(engine: Engine, database: Database) -> Shop:
    return Shop(engine, database)


def test_payments_come_in_the_order_of_time_with_the_facts_of_their_decision(shop: Shop) -> None:
    shop.pay(5, facts={"card": "b", "hour": 3, "count_payments_by_card_1h": 7})
    shop.pay(1, facts={"card": "a", "cvc_given": True, "amount": 1999, "amount_usd": 1999})
    shop.pay(9)
    assert [(payment.at, payment.facts) for payment in shop.read("card", until=START + timedelta(minutes=9))] == [
        (
            micros(START + timedelta(minutes=1)),
            {"card": "a", "cvc_given": True, "amount": 1999, "amount_usd": 1999, "currency": "USD"},
        ),
        (micros(START + timedelta(minutes=5)), {"card": "b", "hour": 3, "amount": 1999, "currency": "USD"}),
    ]


def test_other_merchants_are_left_out_unless_all_are_asked_for(shop: Shop, engine: Engine, database: Database) -> None:
    late = 1_000_000  # minutes after what all other tests store in this database
    shop.pay(late)
    Shop(engine, database).pay(late)
    assert [payment.merchant for payment in shop.read()] == [render_id(Prefix.MERCHANT, shop.id)]
    since = START + timedelta(minutes=late)
    everybody = shop.source.stored_payments(since, None, None).open(VOCABULARY, [], 0).payments(lambda share: None)
    assert len({payment.merchant for payment in everybody}) == 2


def test_what_became_of_a_payment_is_read(shop: Shop) -> None:
    shop.pay(1, amount_authorized=1999, amount_captured=1999)
    shop.pay(2, state="FAILED", failure={"code": "INSUFFICIENT_FUNDS"})
    shop.pay(3, state="FAILED", failure={"code": "FRAUD_BLOCKED"})
    shop.pay(4, state="FAILED", failure={"code": "PROCESSOR_UNAVAILABLE"})
    found = shop.read()
    assert [(one.approved, one.declined, one.blocked) for one in found] == [
        (True, False, False), (False, True, False), (False, False, True), (False, False, False),
    ]  # fmt: skip
    assert [one.said for one in found] == [None, {"decline_code": "insufficient_funds"}, None, None]


def test_refunds_and_disputes_are_known_from_their_own_time_on(shop: Shop) -> None:
    payment = shop.pay(1, amount_authorized=1999, amount_captured=1999, amount_refunded=500)
    later = START + timedelta(days=3)
    shop.insert(
        "transactions",
        {
            "merchant_id": shop.id, "id": uuid4(), "payment_id": payment, "type": "REFUND", "state": "COMPLETED",
            "amount": 500, "currency": "USD", "processor": "stripe", "processor_account_id": shop.id, "waiting": False,
            "processor_transaction_id": "", "reason": "", "lease_until": later, "attempts": 0, "idempotency_keys": [],
            "detail": {}, "created_at": later, "updated_at": later,
        },
    )  # fmt: skip
    shop.insert(
        "disputes",
        {
            "merchant_id": shop.id, "id": uuid4(), "payment_id": payment, "transaction_id": uuid4(), "version": 1,
            "state": "LOST", "reason": "FRAUDULENT", "reason_code": "10.4", "inquiry": False, "amount": 1999,
            "currency": "USD", "amount_withdrawn": 1999, "amount_held": 0, "processor": "stripe",
            "processor_account_id": shop.id, "processor_dispute_id": "dp_1", "opened_at": later, "created_at": later,
            "updated_at": later,
        },
    )  # fmt: skip
    [found] = shop.read()
    assert (found.refunded, found.refunded_at, found.disputed_at) == (500, micros(later), micros(later))
    assert found.label is Label.FRAUD


def test_an_early_fraud_warning_is_known_from_when_it_came(shop: Shop) -> None:
    payment = shop.pay(1, amount_authorized=1999, early_fraud_warning=True)
    told = START + timedelta(days=2)
    shop.insert(
        "processor_events",
        {
            "account_id": shop.id, "event_id": "evt_1", "processor": "stripe", "subject": "", "body": "\\x00",
            "type": "radar.early_fraud_warning.created", "processor_payment_id": "", "processor_object_id": "",
            "attempts": 1, "created_at": told, "merchant_id": shop.id, "payment_id": payment, "received_at": told,
            "next_attempt_at": told,
        },
    )  # fmt: skip
    [found] = shop.read()
    assert (found.warned_at, found.label) == (micros(told), Label.FRAUD)


def test_the_past_before_the_range_counts_and_is_not_judged(shop: Shop, tmp_path: Path) -> None:
    for minutes in (-120, -30, -20, 1):
        shop.pay(minutes, facts={"card": "a"})
    text_ = ruleset_text(rule("often", 'count("payments", by="card", within="1h") == 2', "action: block"))
    ruleset = load_text(tmp_path, text_)
    source = shop.source.stored_payments(START, None, render_id(Prefix.MERCHANT, shop.id))
    report = run_backtest(source, ruleset, None, lambda share: None)
    ruleset.close()
    assert report.payments.all.count == report.ruleset.of(Outcome.BLOCK).all.count == 1


def test_facts_that_no_payment_brought_are_told(shop: Shop) -> None:
    shop.pay(1, facts={"card": "a"})
    own = render_id(Prefix.MERCHANT, shop.id)
    opened = shop.source.stored_payments(START, None, own).open(VOCABULARY, ["card", "device", "amount"], 0)
    assert len(list(opened.payments(lambda share: None))) == 1
    assert "device" in opened.missing() and "card" not in opened.missing()
    assert any("stays unknown" in note for note in opened.notes)


def test_stored_facts_that_do_not_fit_any_more_are_an_error_of_the_data(shop: Shop) -> None:
    shop.pay(1, facts={"hour": "noon"})
    with pytest.raises(DataError, match="stored facts do not fit: hour is not of type integer"):
        shop.read("hour")


def test_a_merchant_that_is_none_is_refused(shop: Shop) -> None:
    with pytest.raises(ValueError, match="merchant"):
        shop.source.stored_payments(START, None, "pay_1")


def backtest(database: Database, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": os.environ["PATH"],
        "COLUMNS": "200",
        "KASSA_DATABASE_URL": database.writer_url,
        "KASSA_DATABASE_READER_URL": database.reader_url,
    }
    command = [KASSA, "rules", "backtest", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_line_judges_stored_decisions(shop: Shop, database: Database, tmp_path: Path) -> None:
    shop.pay(1, facts={"card": "a"})
    shop.pay(2, facts={"card": "a"})
    text_ = ruleset_text(rule("again", 'count("payments", by="card", within="1h") > 0', "action: block"))
    merchant = render_id(Prefix.MERCHANT, shop.id)
    path = str(write_rules(tmp_path, text_))
    done = backtest(database, path, "--stored", "--since", "2026-03-01", "--merchant", merchant)
    assert done.returncode == 0, done.stderr
    assert "stored decisions" in done.stdout and "again" in done.stdout
    wrong = backtest(database, path, "--stored", "--since", "2026-03-01", "--merchant", "mer_x")
    assert wrong.returncode == 2 and "merchant" in wrong.stderr


def test_the_past_across_merchants_is_counted_anew_and_tests_apart(
    shop: Shop, engine: Engine, database: Database, tmp_path: Path
) -> None:
    early = -1_000_000  # minutes before what all other tests store in this database
    other = Shop(engine, database)
    for minute, (whose, test_mode) in enumerate([(shop, True), (other, True), (other, False), (shop, True)]):
        whose.pay(early + minute, facts={"card": "a"}, test_mode=test_mode)
    text = ruleset_text(
        rule("anywhere", 'count("payments", by="card", within="1h", across="platform") >= 2'),
        rule("shops", 'distinct("merchant", by="card", within="1h", across="platform") >= 2'),
        rule("alone", 'first_seen("payments", by="card", within="30d", across="platform")'),
    )
    ruleset = load_text(tmp_path, text)
    since = START + timedelta(minutes=early)
    source = shop.source.stored_payments(since, since + timedelta(minutes=10), None)
    report = run_backtest(source, ruleset, None, lambda share: None)
    ruleset.close()
    assert [one.hits.all.count for one in report.ruleset.rules] == [1, 1, 2]


def test_one_merchants_payments_alone_cannot_tell_what_all_did(database: Database, tmp_path: Path) -> None:
    when = 'count("payments", by="card", within="1h", across="platform") > 1'
    path = write_rules(tmp_path, ruleset_text(rule("anywhere", when, "action: block")))
    environment = os.environ | {
        "KASSA_DATABASE_URL": database.writer_url,
        "KASSA_DATABASE_READER_URL": database.reader_url,
    }
    merchant = render_id(Prefix.MERCHANT, uuid4())
    command = [KASSA, "rules", "backtest", str(path), "--stored", "--since", "2026-03-01"]
    done = subprocess.run(
        [*command, "--merchant", merchant], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "leave --merchant out" in done.stderr) == (2, True), done.stderr
