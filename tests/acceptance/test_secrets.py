"""What must never be kept is nowhere: card numbers, security codes and API keys in no table and no log."""

import pytest

from tests.acceptance.shop import Shop, order, wait_until
from tests.acceptance.stacks import Platform

NUMBER, CVC, HOLDER = "378282246310005", "7391", "Grace Hopper-Xylander"
AMEX = {"number": NUMBER, "exp_month": 12, "exp_year": 2030, "cvc": CVC, "holder": HOLDER}
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
PARTS = ("server-1", "server-2", "worker", "envoy", "sandbox", "postgres")


@pytest.fixture
def used(platform: Platform, shop: Shop) -> Shop:
    """A shop whose card has been through everything: paid, declined by a field, malformed, refunded, replayed."""
    payment = shop.pay(order(card=AMEX), "secret-order").json()
    assert payment["state"] == "COMPLETED"
    shop.pay(order(card=AMEX), "secret-order")
    shop.pay(order(card=AMEX | {"exp_month": 13}))
    shop.pay(order(card=AMEX | {"number": NUMBER[:-1] + "4"}))
    shop.pay(order(card=AMEX | {"number": int(NUMBER)}))
    shop.post(payment, "refunds")
    # The webhook of the refund has been stored by then.
    stored = "SELECT count(*) FROM processor_events WHERE processor_payment_id = %s AND handled_at IS NOT NULL"
    wait_until(lambda: platform.query(stored, payment["processor_payment_id"]), lambda rows: rows[0][0] >= 2)
    return shop


def test_no_table_holds_a_card_number_a_code_or_a_key(platform: Platform, used: Shop) -> None:
    for (table,) in platform.query(TABLES):
        for (row,) in platform.query(f"SELECT t::text FROM {table} t"):
            assert NUMBER not in row, table
            assert HOLDER not in row, table
            assert used.api_key not in row, table
            assert f'"{CVC}"' not in row, table
    # bytea shows as hexadecimal; webhooks are the one place where a processor's own text is kept.
    bodies = [bytes(body) for (body,) in platform.query("SELECT body FROM processor_events")]
    assert bodies
    assert not [body for body in bodies if NUMBER.encode() in body]


def test_no_log_holds_a_card_number_a_code_or_a_key(platform: Platform, used: Shop) -> None:
    for part in PARTS:
        log = platform.log(part)
        assert NUMBER not in log, part
        assert HOLDER not in log, part
        assert used.api_key not in log, part
    access = (platform.stack.home / "log" / "access.log").read_text()
    assert "/v1/payments" in access
    assert NUMBER not in access and used.api_key not in access
