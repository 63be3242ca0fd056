"""The schema can be distributed by merchant, and holds nothing that must not be stored."""

import pytest
from sqlalchemy import create_engine, text

from tests.cluster import Database

WITHOUT_MERCHANT = {
    "merchants": "its id is the merchant",
    "api_keys": "looked up by the key's hash, before the merchant is known",
    "processor_events": "inbound: only the account is known",
    "processor_objects": "finds the merchant of an inbound event",
    "alembic_version": "the schema's own",
    "sweep_positions": "where a job stands that walks all merchants",
    "ruleset_versions": "found by their content; rules are the platform's, not a merchant's",
    "ruleset_releases": "one history for the whole platform",
    "rule_snoozes": "rules are the platform's, not a merchant's",
    "platform_velocity": "distributed by the keyed hash of what payments of all merchants share",
}
KEYS = """
    SELECT c.relname, a.attname FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    WHERE i.indisprimary AND n.nspname = 'public' AND c.relname NOT LIKE 'procrastinate%'
"""
# Uniqueness across merchants would not survive distribution either.
UNIQUE = """
    SELECT c.relname, i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    WHERE i.indisunique AND n.nspname = 'public' AND a.attname <> 'merchant_id'
      AND c.relname NOT LIKE 'procrastinate%'
"""


@pytest.fixture(scope="module")
def rows(database: Database) -> "dict[str, list[tuple[str, str]]]":
    engine = create_engine(database.owner_url)
    with engine.connect() as connection:
        answers = {
            "keys": [tuple(row) for row in connection.execute(text(KEYS))],
            "unique": [tuple(row) for row in connection.execute(text(UNIQUE))],
            "columns": [
                tuple(row)
                for row in connection.execute(
                    text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
                )
            ],
        }
    engine.dispose()
    return answers  # type: ignore[return-value]


def test_every_key_begins_with_the_merchant(rows: dict[str, list[tuple[str, str]]]) -> None:
    first = dict(rows["keys"])
    assert {table for table, column in first.items() if column != "merchant_id"} == set(WITHOUT_MERCHANT)
    assert "payments" in first and "ledger_entries" in first


def test_nothing_else_is_unique_across_merchants(rows: dict[str, list[tuple[str, str]]]) -> None:
    tables = {table for table, _ in rows["unique"]}
    # An account's own id, by which a webhook's path names it, is the one look-up beside those above.
    assert tables <= set(WITHOUT_MERCHANT) | {"processor_accounts"}


def test_no_column_could_hold_a_card_number_or_a_security_code(rows: dict[str, list[tuple[str, str]]]) -> None:
    names = {column for _, column in rows["columns"]}
    assert not {name for name in names if "cvc" in name or "cvv" in name or name in {"card_number", "number", "pan"}}
    assert {name for name in names if name.startswith("card_")} == {
        "card_brand",
        "card_last4",
        "card_exp_month",
        "card_exp_year",
        "card_fingerprint",
        "card_bin",
    }
