"""Holds what went over the wire to the processors' own descriptions in `tests/specs`; conftest calls it."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jsonschema  # type: ignore[import-untyped]  # it comes without types
import pytest
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from sandbox.stripe.params import nest
from tests.sandbox.harness import Json, Seen

_SPECS = Path(__file__).parents[1] / "specs"
_PAYPAL = {
    "/v2/checkout/": "checkout_orders_v2.json",
    "/v2/payments/": "payments_payment_v2.json",
    "/v1/notifications/": "notifications_webhooks_v1.json",
    "/v1/customer/": "customer_disputes_v1.json",
}

# There PayPal's patterns refuse the dashes of PayPal's own event ids, and a whole event counts as read-only.
_OWN_IDS_REFUSED = re.compile("/webhooks-events/|/verify-webhook-signature$")
# The description knows only the form that documents are uploaded with; PayPal's own examples and clients send JSON.
_TAKES_JSON = re.compile("/accept-claim$")


@cache
def _openapi(name: str) -> OpenAPI:
    return OpenAPI.from_dict(json.loads((_SPECS / "paypal" / name).read_text()))


@cache
def stripe_requests() -> Json:
    found: Json = json.loads((_SPECS / "stripe" / "requests_2023-08-16.json").read_text())
    return found


@cache
def _validator(template: str) -> jsonschema.Draft4Validator:
    """OpenAPI 3.0's schemas are of this draft in all that matters here."""
    return jsonschema.Draft4Validator(stripe_requests()[template])


@cache
def fixture(resource: str) -> Json:
    """Stripe's own example of a resource."""
    found: Json = json.loads((_SPECS / "stripe" / "fixtures3.json").read_text())["resources"][resource]
    return found


def check_paypal(seen: Seen) -> None:
    """Validates an exchange of PayPal's; a request only where PayPal took it."""
    name = next((name for prefix, name in _PAYPAL.items() if seen.path.startswith(prefix)), None)
    if name is None or "/certs/" in seen.path or seen.status in (401, 429):
        return
    request = MockRequest(
        "https://api-m.sandbox.paypal.com",
        seen.method.lower(),
        seen.path,
        headers={k: v for k, v in seen.headers.items() if k not in ("Authorization", "Content-Type")},
        data=seen.request if seen.method == "POST" else None,
        content_type=seen.headers.get("Content-Type", "application/json"),
    )
    response = MockResponse(seen.response or b"{}", status_code=seen.status)
    spec = _openapi(name)
    try:
        skipped = _OWN_IDS_REFUSED.search(seen.path) or _TAKES_JSON.search(seen.path)
        if seen.status < 300 and not skipped:
            spec.validate_request(request)
        if seen.response:
            spec.validate_response(request, response)
    except OpenAPIError as error:
        found = getattr(error.__cause__, "schema_errors", ()) or (error.__cause__ or error,)
        pytest.fail("\n".join([f"{seen.method} {seen.path} {seen.status}", *map(str, found)]))


def check_stripe_request(seen: Seen) -> None:
    """Validates the parameters of a POST that Stripe took."""
    template = _template(seen.path)
    if seen.method != "POST" or seen.status != 200 or template is None:
        return
    schema = stripe_requests()[template]
    values = _typed(schema, nest(parse_qsl(seen.request.decode(), keep_blank_values=True)))
    _validator(template).validate(values)


def _template(path: str) -> str | None:
    parts = path.split("/")
    for template in stripe_requests():
        pairs = list(zip(parts, template.split("/"), strict=False))
        same = len(parts) == len(template.split("/"))
        if same and all(part == wanted or wanted.startswith("{") for part, wanted in pairs):
            return str(template)
    return None


def _typed(schema: Json, value: Any) -> Any:
    """Gives form values the types of their schema; an open enum becomes a string."""
    for branch in schema.get("anyOf", ()):
        if isinstance(value, dict) == (branch.get("type") in ("object", "array")):
            return _typed(branch, value)
    if schema.get("x-stripeBypassValidation"):
        schema.pop("enum", None)
    match schema.get("type"):
        case "integer":
            return int(value)
        case "boolean":
            return {"true": True, "false": False}[value]
        case "array":
            return [_typed(schema["items"], item) for item in value.values()]
        case "object":
            known = schema.get("properties", {})
            return {name: _typed(known.get(name, {}), item) for name, item in value.items()}
        case _:
            return value
