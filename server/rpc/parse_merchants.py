"""Merchant requests from the wire, checked and turned into what use cases take. Called by `rpc.merchant_service`."""

from kassa.v1 import merchant_service_pb2 as pb

from server.domain.errors import InvalidField
from server.rpc import fields
from server.usecases.merchants import MerchantChanges, MerchantDetails
from server.usecases.processor_accounts import Credentials

_MAX_NAME, _MAX_CREDENTIAL = 200, 500
_MAX_DAILY = 2_000_000_000


def parse_details(request: pb.CreateMerchantRequest, supported: frozenset[str]) -> MerchantDetails:
    """Reads what a new merchant is made of.

    Raises:
        InvalidField: The first field that is wrong.
        KassaError: CURRENCY_NOT_SUPPORTED.
    """
    return MerchantDetails(
        name=_name(request.name),
        country=_country(request.country),
        time_zone=fields.time_zone(request.time_zone, "time_zone"),
        default_currency=request.default_currency and _currency(request.default_currency, supported),
        max_daily_transactions=_daily_limit(request.max_daily_transactions),
    )


def parse_changes(request: pb.UpdateMerchantRequest, supported: frozenset[str]) -> MerchantChanges:
    """Reads what shall become different; absent fields stay.

    Raises:
        InvalidField: The first field that is wrong; what is given must not be empty.
        KassaError: CURRENCY_NOT_SUPPORTED.
    """
    if request.HasField("time_zone") and not request.time_zone:
        raise InvalidField("time_zone", "must be an IANA time zone, such as Europe/Paris")
    return MerchantChanges(
        name=_name(request.name) if request.HasField("name") else None,
        country=_country(request.country) if request.HasField("country") else None,
        time_zone=fields.time_zone(request.time_zone, "time_zone") if request.HasField("time_zone") else None,
        default_currency=_currency(request.default_currency, supported)
        if request.HasField("default_currency")
        else None,
        max_daily_transactions=_daily_limit(request.max_daily_transactions)
        if request.HasField("max_daily_transactions")
        else None,
    )


def parse_key_name(request: pb.CreateApiKeyRequest) -> str:
    """Reads the name of a new API key, which may be empty."""
    return fields.text(request.name, "name", longest=_MAX_NAME)


def parse_credentials(
    request: pb.CreateProcessorAccountRequest | pb.UpdateProcessorAccountRequest,
) -> Credentials | None:
    """Reads credentials; which ones are given says whose they are.

    Raises:
        InvalidField: Too long or not printable ASCII; never quoting them.
    """
    match request.WhichOneof("credentials"):
        case "stripe":
            stripe = request.stripe
            values = {"secret_key": stripe.secret_key, "webhook_secret": stripe.webhook_secret}
            return _credentials("stripe", values)
        case "paypal":
            paypal = request.paypal
            values = {
                "client_id": paypal.client_id,
                "client_secret": paypal.client_secret,
                "webhook_id": paypal.webhook_id,
            }
            return _credentials("paypal", values)
        case _:
            return None


def require_credentials(found: Credentials | None) -> Credentials:
    """Returns the credentials of a new account.

    Raises:
        InvalidField: None are given.
    """
    if found is None:
        raise InvalidField("credentials", "are required: give stripe or paypal")
    return found


def _credentials(processor: str, values: dict[str, str]) -> Credentials:
    for name, value in values.items():
        # They travel in HTTP headers, where a line break would be a hole.
        if len(value) > _MAX_CREDENTIAL or not value.isascii() or not value.isprintable() or " " in value:
            raise InvalidField(f"{processor}.{name}", f"must be at most {_MAX_CREDENTIAL} visible ASCII characters")
    return Credentials(processor, values)


def _name(value: str) -> str:
    return fields.text(value, "name", longest=_MAX_NAME, required=True)


def _country(value: str) -> str:
    if not value:
        raise InvalidField("country", "is required")
    return fields.country(value, "country")


def _currency(value: str, supported: frozenset[str]) -> str:
    return fields.currency(value, "default_currency", supported)


def _daily_limit(value: int) -> int:
    if not 0 <= value <= _MAX_DAILY:
        raise InvalidField("max_daily_transactions", f"must be 1 to {_MAX_DAILY}, or 0 for no limit of its own")
    return value
