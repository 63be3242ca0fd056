"""Lists with Stripe's paging, and `expand`; `routes` applies both. https://docs.stripe.com/api/pagination"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from sandbox.stripe import charge_objects, objects, payment_method_objects
from sandbox.stripe.context import Call, Context, Json
from sandbox.stripe.errors import invalid

_PAGING: Final = frozenset({"limit", "starting_after", "ending_before", "expand", "created"})
Filter = Mapping[str, str]
"""Query parameter to the attribute that must equal it."""


def _rows(context: Context, account: str, resource: str) -> tuple[list[Any], Callable[[Any], Json], Filter]:
    books = context.books
    by_object: Filter = {"payment_intent": "payment_intent", "charge": "charge"}
    match resource:
        case "payment_intents":
            return books.intents.of(account), lambda row: objects.payment_intent(context, row), {"customer": "customer"}
        case "charges":
            return books.charges.of(account), lambda row: charge_objects.charge(context, row), by_object
        case "refunds":
            return books.refunds.of(account), objects.refund, by_object
        case "disputes":
            return books.disputes.of(account), lambda row: objects.dispute(context, row), by_object
        case "balance_transactions":
            return (
                books.balance_transactions.of(account),
                objects.balance_transaction,
                {"source": "source", "type": "type", "currency": "currency"},
            )
        case _:
            return books.events.of(account), lambda row: orjson.loads(row.body), {"type": "type"}


def lister(resource: str) -> Callable[[Context, Call], Json]:
    """Makes the handler of GET /v1/{resource}: newest first."""

    def handle(context: Context, call: Call) -> Json:
        rows, render, filters = _rows(context, call.account.id, resource)
        params = call.params
        params.allow(_PAGING | frozenset(filters))
        wanted = {attribute: params.text(name) for name, attribute in filters.items() if params.text(name)}
        found = [row for row in reversed(rows) if all(getattr(row, name) == value for name, value in wanted.items())]
        page, more = _page(_created(found, call), call)
        return {"object": "list", "data": [render(row) for row in page], "has_more": more, "url": f"/v1/{resource}"}

    return handle


def _created(rows: list[Any], call: Call) -> list[Any]:
    bounds = call.params.hash("created") if isinstance(call.params.values.get("created"), dict) else None
    if bounds is None:
        return rows
    low, high = bounds.integer("gte"), bounds.integer("lte")
    return [row for row in rows if (low is None or row.created >= low) and (high is None or row.created <= high)]


def _page(rows: list[Any], call: Call) -> tuple[list[Any], bool]:
    limit = call.params.integer("limit") or 10
    if not 1 <= limit <= 100:  # Stripe's page sizes
        raise invalid("This value must be less than or equal to 100.", param="limit")
    ids = [row.id for row in rows]
    after, before = call.params.text("starting_after"), call.params.text("ending_before")
    start = ids.index(after) + 1 if after in ids else 0
    if before in ids:
        start = max(0, ids.index(before) - limit)
    return rows[start : start + limit], len(rows) > start + limit


def expand(context: Context, call: Call, body: Json) -> Json:
    """Replaces ids by their objects along the paths of `expand[]`."""
    for path in call.params.texts("expand"):
        _expand(context, call.account.id, body, path.split("."))
    return body


def _expand(context: Context, account: str, node: Any, path: list[str]) -> None:
    head, rest = path[0], path[1:]
    if not isinstance(node, dict) or head not in node:
        raise invalid(f"This property cannot be expanded ({head}).", param="expand")
    if isinstance(node[head], str):
        node[head] = _object(context, account, node[head])
    for child in node[head] if isinstance(node[head], list) else [node[head]]:
        if rest and child is not None:
            _expand(context, account, child, rest)


def _object(context: Context, account: str, key: str) -> Any:
    books = context.books
    if intent := books.intents.get(account, key):
        return objects.payment_intent(context, intent)
    if charge := books.charges.get(account, key):
        return charge_objects.charge(context, charge)
    if method := books.payment_methods.get(account, key):
        return payment_method_objects.payment_method(method)
    if movement := books.balance_transactions.get(account, key):
        return objects.balance_transaction(movement)
    if refund := books.refunds.get(account, key):
        return objects.refund(refund)
    return key
