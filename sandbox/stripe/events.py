"""Events, as they may be read again. https://docs.stripe.com/api/events"""

import orjson

from sandbox.stripe.context import Call, Context, Json
from sandbox.stripe.errors import missing


def retrieve(context: Context, call: Call) -> Json:
    """GET /v1/events/{id}"""
    event = context.books.events.get(call.account.id, call.path["id"])
    if event is None:
        raise missing("event", call.path["id"], "id")
    body: Json = orjson.loads(event.body)
    return body
