"""Statements of the hot path find their rows by key, whatever the planner believes of the tables at that moment."""

import re
from uuid import uuid4

from sqlalchemy import TextClause, create_engine, text

from server.domain.ids import new_id
from server.storage import claims, ledger
from server.storage.engine import dumps
from tests.cluster import Database
from tests.storage.conftest import Till

_KEYS = text("""
    INSERT INTO idempotency_keys (merchant_id, key, attempt_id, request_hash, payment_id, transaction_id, answer,
                                  created_at, answered_at)
    SELECT :merchant, 'key ' || n, gen_random_uuid(), '', gen_random_uuid(), gen_random_uuid(), '{}', now(), now()
    FROM generate_series(1, 5000) AS n
""")


def plan(till: Till, statement: TextClause, row: dict[str, object]) -> str:
    with till.engine.connect() as connection:
        explained = text(f"EXPLAIN {statement.text}")
        return "\n".join(connection.execute(explained, {"rows": dumps([row])}).scalars())


async def test_answers_find_their_keys_among_many_that_have_theirs(till: Till, database: Database) -> None:
    """Hardly any key lacks an answer, so to begin with those looks cheap: it is a walk through all keys."""
    with till.engine.begin() as connection:
        connection.execute(_KEYS, {"merchant": till.merchant})
    owner = create_engine(database.owner_url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(text("ANALYZE idempotency_keys"))
    owner.dispose()
    for statement in (claims._ANSWER, claims._RELEASE):
        found = plan(till, statement, {"merchant_id": till.merchant, "key": "key 7", "answer": {}})
        assert re.search(r"Index Cond: \(\(merchant_id = q\.merchant_id\) AND \(key = q\.key\)\)", found), found


async def test_known_fees_are_looked_up_one_by_one(till: Till) -> None:
    await till.charged()
    entry = {"merchant_id": till.merchant, "id": new_id(), "journal_id": new_id(), "kind": "FEE", "payment_id": uuid4()}
    found = plan(till, ledger._INSERT, entry)
    assert "Index Only Scan using ledger_entries_fees" in found and "hashed" not in found, found
