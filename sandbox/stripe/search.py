"""Search of payment intents, which lags behind as Stripe's does: a missing hit proves nothing.

https://docs.stripe.com/search#search-query-language; equality joined by AND is what the sandbox understands.
"""

import re
from typing import Final

from sandbox.stripe import objects
from sandbox.stripe.context import Call, Context, Json, now
from sandbox.stripe.errors import invalid
from sandbox.stripe.records import PaymentIntent

_CLAUSE: Final = re.compile(r"""(?:metadata\[(['"])(?P<key>.+?)\1\]|(?P<field>[a-z_]+)):(['"])(?P<value>.*?)\4""")
_FIELDS: Final = frozenset({"status", "currency", "customer"})


def search(context: Context, call: Call) -> Json:
    """GET /v1/payment_intents/search"""
    call.params.allow(frozenset({"query", "limit", "page", "expand"}))
    clauses = _parse(call.params.required("query"))
    limit = call.params.integer("limit") or 10
    indexed = (row for row in context.books.intents.of(call.account.id) if now() - row.created >= context.search_lag_s)
    hits = [row for row in indexed if all(_holds(row, *clause) for clause in clauses)][::-1]
    data = [objects.payment_intent(context, row) for row in hits[:limit]]
    return {
        "object": "search_result",
        "url": "/v1/payment_intents/search",
        "has_more": len(hits) > limit,
        "next_page": None,
        "data": data,
    }


def _parse(query: str) -> list[tuple[str, str, str]]:
    clauses = []
    for text in re.split(r"\s+AND\s+", query.strip()):
        match = _CLAUSE.fullmatch(text)
        if match is None or match["field"] not in _FIELDS | {None}:
            raise invalid(f"We were unable to parse your search query: {text}", param="query")
        clauses.append((match["field"] or "", match["key"] or "", match["value"]))
    return clauses


def _holds(intent: PaymentIntent, field: str, key: str, value: str) -> bool:
    found = getattr(intent, field) if field else intent.metadata.get(key)
    return str(found).lower() == value.lower() if field else found == value
