"""What the load generator asks for: payments of 20,000 card holders at 100 merchants, and reads of what they paid.

Their customer's ids, devices and IP addresses are those of `bench.buyers`, so that what `bench.stored` loads is their
past.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from kassa.v1 import payment_service_pb2 as pb

from bench.load.http2 import header_block

CARDS: Final = 20_000
_SERVICE: Final = b"/kassa.v1.PaymentService/"
_GUIDES_MERCHANT: Final = "01900000-0000-7000-8000-000000000001"
_COUNTRIES: Final = ("US", "DE", "GB", "FR", "NL")


@dataclass(frozen=True, slots=True)
class Shopper:
    """A card holder with one merchant, as JSON and protobuf have the same fields.

    Attributes:
        merchant: Index of the merchant's key.
        fixed: Fields of every payment of theirs.
    """

    merchant: int
    fixed: dict[str, Any]


def shopper(number: int, merchants: int, card: str = "") -> Shopper:
    """Makes a card holder; the same number, from 1 on, makes the same one.

    Args:
        card: A card number in the place of their own, where a sandbox knows few.
    """
    country = _COUNTRIES[number % len(_COUNTRIES)]
    address = {"line1": f"{number} High Street", "city": "Springfield", "postal_code": f"{number % 100_000:05}"}
    fixed = {
        "currency": "USD",
        "method": "CREDIT_CARD",
        "card": {
            "number": card or card_number(number),
            "exp_month": 1 + number % 12,
            "exp_year": 2030,
            "cvc": "123",
            "holder": f"Shopper {number}",
        },
        "customer": {
            "id": f"cus_{number:08}",
            "email": f"shopper{number}@mail{number % 50}.example",
            "ip": f"203.0.{number // 250 % 250}.{number % 250}",
            "device_id": f"dev_{number:08}",
        },
        "billing_address": address | {"country": country},
        "shipping_address": address | {"country": country},
        "description": f"Order of shopper {number}",
    }
    return Shopper(number % merchants, fixed)


def card_number(number: int) -> str:
    """Returns a Visa number of sixteen digits with a right checksum; there are a thousand BINs of them."""
    digits = f"4{number % 1000:03}0000{number:07}"
    doubled = sum(sum(divmod(int(digit) * 2, 10)) if index % 2 == 0 else int(digit)
                  for index, digit in enumerate(digits))  # fmt: skip
    return digits + str(-doubled % 10)


@dataclass(frozen=True, slots=True)
class Call:
    """One prepared call.

    Attributes:
        headers: Of gRPC; unused over REST.
        body: The message, or the whole HTTP request.
    """

    headers: bytes
    body: bytes


class Requests:
    """Prepares calls of one operation.

    Args:
        keys: API keys of the merchants.
        operation: `create`, `get`, `list`, or `guide`, a payment as the guide's design takes it.
        payments: For reads: (index of the merchant's key, payment id) of payments that are there.
        unique: Goes into idempotency keys, so that no other run or process makes the same.
    """

    def __init__(  # noqa: PLR0913 - what a run is made of
        self, operation: str, keys: Sequence[str], payments: Sequence[tuple[int, str]], *, unique: str, seed: int,
        cards: int = CARDS, card: str = "",
    ) -> None:  # fmt: skip
        self._operation, self._keys, self._payments, self._unique = operation, keys, payments, unique
        self._random, self._made, self._cards, self._card = Random(seed), 0, cards, card
        self._pseudo_headers = header_block([(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"kassa")])
        self._fixed_headers = header_block([(b"te", b"trailers"), (b"content-type", b"application/grpc")])

    def grpc(self) -> Call:
        """The next call over gRPC."""
        key, fields = self._next()
        headers = [(b"authorization", f"Bearer {self._keys[key]}".encode())]
        match self._operation:
            case "create":
                path, message = b"CreatePayment", _message(fields)
                headers.append((b"idempotency-key", self._idempotency_key()))
            case "get":
                path, message = b"GetPayment", pb.GetPaymentRequest(payment_id=fields["id"]).SerializeToString()
            case _:
                path, message = b"ListPayments", pb.ListPaymentsRequest(page_size=20).SerializeToString()
        pseudo = self._pseudo_headers + header_block([(b":path", _SERVICE + path)])  # before all others: RFC 9113, 8.3
        return Call(pseudo + self._fixed_headers + header_block(headers), message)

    def rest(self) -> Call:
        """The next call over HTTP/1.1."""
        key, fields = self._next()
        head = b"Host: kassa\r\nAuthorization: Bearer " + self._keys[key].encode() + b"\r\n"
        match self._operation:
            case "guide":
                return _post(b"/api/v1/payments", b"Host: guide\r\n", _as_the_guide_has_it(fields))
            case "create":
                head += b"Idempotency-Key: " + self._idempotency_key() + b"\r\n"
                return _post(b"/v1/payments", head, fields)
            case "get":
                return Call(b"", b"GET /v1/payments/" + fields["id"].encode() + b" HTTP/1.1\r\n" + head + b"\r\n")
            case _:
                return Call(b"", b"GET /v1/payments?page_size=20 HTTP/1.1\r\n" + head + b"\r\n")

    def _next(self) -> tuple[int, dict[str, Any]]:
        self._made += 1
        if self._operation in ("get", "list"):
            merchant, payment = self._random.choice(self._payments)
            return merchant, {"id": payment}
        who = shopper(1 + self._random.randrange(self._cards), len(self._keys), self._card)
        return who.merchant, {"amount": self._random.randrange(500, 20_000), **who.fixed}

    def _idempotency_key(self) -> bytes:
        return f"{self._unique}-{self._made}".encode()


def _post(path: bytes, head: bytes, fields: dict[str, Any]) -> Call:
    body = json.dumps(fields).encode()
    length = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return Call(b"", b"POST " + path + b" HTTP/1.1\r\n" + head + length + body)


def _as_the_guide_has_it(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "merchant_id": _GUIDES_MERCHANT,
        "amount": fields["amount"] / 100,
        "currency": fields["currency"],
        "payment_method": "credit_card",
        "card_number": fields["card"]["number"],
        "billing_country": fields["billing_address"]["country"],
        "shipping_country": fields["shipping_address"]["country"],
    }


def _message(fields: dict[str, Any]) -> bytes:
    named = fields | {"method": pb.Payment.Method.Value(fields["method"])}
    return pb.CreatePaymentRequest(**named).SerializeToString()
