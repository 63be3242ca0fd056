"""Webhook management v1: endpoints, events, resend, verification. https://developer.paypal.com/docs/api/webhooks/v1/"""

import secrets

import orjson

from sandbox.accounts import Endpoint
from sandbox.paypal.context import Call, Context, Json
from sandbox.paypal.errors import PayPalError
from sandbox.paypal.signing import Signer


def create_webhook(context: Context, call: Call) -> Json:
    """POST /v1/notifications/webhooks"""
    types, url = call.body.get("event_types"), call.text("url", 2048)
    if not url or not isinstance(types, list):
        raise PayPalError("MISSING_REQUIRED_PARAMETER", field="/event_types" if url else "/url")
    names = [name for kind in types if isinstance(kind, dict) and isinstance(name := kind.get("name"), str)]
    endpoint = Endpoint(secrets.token_hex(9).upper()[:17], url, events=names)
    call.account.endpoints.append(endpoint)
    context.accounts.changed(call.account)
    return _webhook(endpoint)


def list_webhooks(context: Context, call: Call) -> Json:
    """GET /v1/notifications/webhooks"""
    return {"webhooks": [_webhook(endpoint) for endpoint in call.account.endpoints]}


def get_webhook(context: Context, call: Call) -> Json:
    """GET /v1/notifications/webhooks/{id}"""
    return _webhook(_find(call))


def delete_webhook(context: Context, call: Call) -> Json:
    """DELETE /v1/notifications/webhooks/{id}"""
    call.account.endpoints.remove(_find(call))
    context.accounts.changed(call.account)
    return {}


def list_events(context: Context, call: Call) -> Json:
    """GET /v1/notifications/webhooks-events: the ten latest, newest first."""
    events = context.books.events.of(call.account.id)[-10:]
    bodies = [orjson.loads(event.body) for event in reversed(events)]
    return {"events": bodies, "count": len(bodies), "links": []}


def get_event(context: Context, call: Call) -> Json:
    """GET /v1/notifications/webhooks-events/{id}"""
    event = context.books.events.get(call.account.id, call.path["id"])
    if event is None:
        raise PayPalError("INVALID_RESOURCE_ID")
    body: Json = orjson.loads(event.body)
    return body


def resend_event(context: Context, call: Call) -> Json:
    """POST /v1/notifications/webhooks-events/{id}/resend: the same event, in a transmission of its own."""
    body = get_event(context, call)
    wanted = call.body.get("webhook_ids") or [endpoint.id for endpoint in call.account.endpoints]
    for endpoint in call.account.endpoints:
        if endpoint.id in wanted:
            context.webhooks.send_to(call.account, endpoint, (body["id"], body["event_type"]), orjson.dumps(body))
    return body


def verify_signature(signer: Signer, call: Call) -> Json:
    """POST /v1/notifications/verify-webhook-signature"""
    names = ("auth_algo", "cert_url", "transmission_id", "transmission_sig", "transmission_time", "webhook_id")
    fields = {name: call.text(name, 500) for name in names}
    for name in (*names, "webhook_event"):
        if not call.body.get(name):
            raise PayPalError("MISSING_REQUIRED_PARAMETER", field=f"/{name}")
    good = signer.verifies(fields, orjson.dumps(call.body["webhook_event"]))
    return {"verification_status": "SUCCESS" if good else "FAILURE"}


def _find(call: Call) -> Endpoint:
    for endpoint in call.account.endpoints:
        if endpoint.id == call.path["id"]:
            return endpoint
    raise PayPalError("INVALID_RESOURCE_ID")


def _webhook(endpoint: Endpoint) -> Json:
    return {"id": endpoint.id, "url": endpoint.url, "event_types": [{"name": name} for name in endpoint.events]}
