"""Who may call which method, as data. Called by `rpc.interceptor`; a method that is not listed cannot be served."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from server.domain.errors import KassaError, Reason
from server.usecases.answers import Caller
from server.usecases.authenticate import Platform, Principal


class Access(StrEnum):
    """Whose key a method takes."""

    SIGNED = "SIGNED"
    """No key: the request proves itself by a signature."""
    MERCHANT = "MERCHANT"
    PLATFORM = "PLATFORM"
    ANY_KEY = "ANY_KEY"
    """A platform key, or a merchant's for what is its own; the method itself looks which."""


def _of(service: str, access: Access, *methods: str) -> dict[str, Access]:
    return {f"/kassa.v1.{service}/{method}": access for method in methods}


ACCESS: Mapping[str, Access] = MappingProxyType(
    _of("PaymentService", Access.MERCHANT, "CreatePayment", "GetPayment", "ListPayments", "ConfirmPayment")
    | _of("PaymentService", Access.MERCHANT, "CapturePayment", "CancelPayment", "RefundPayment", "ListTransactions")
    | _of("PaymentService", Access.MERCHANT, "GetPaymentTimeline")
    | _of("DisputeService", Access.MERCHANT, "GetDispute", "ListDisputes", "AcceptDispute", "SubmitDisputeEvidence")
    | _of("MerchantService", Access.ANY_KEY, "GetMerchant")
    | _of("MerchantService", Access.PLATFORM, "CreateMerchant", "ListMerchants", "UpdateMerchant")
    | _of("MerchantService", Access.PLATFORM, "CreateApiKey", "ListApiKeys", "RevokeApiKey")
    | _of("MerchantService", Access.PLATFORM, "CreateProcessorAccount", "GetProcessorAccount")
    | _of("MerchantService", Access.PLATFORM, "ListProcessorAccounts", "UpdateProcessorAccount")
    | _of("AttentionService", Access.ANY_KEY, "ListAttention", "ResolveAttention")
    | _of("FraudService", Access.ANY_KEY, "ListReviews", "GetReview", "ClaimReview", "ReleaseReview", "AddReviewNote")
    | _of("FraudService", Access.ANY_KEY, "ApproveReview", "RejectReview", "GetDecision", "ListDecisions")
    | _of("FraudService", Access.ANY_KEY, "AddListEntry", "RemoveListEntry", "ListListEntries", "LabelPayment")
    | _of("FraudService", Access.ANY_KEY, "GetRuleStatistics")
    | _of("FraudService", Access.PLATFORM, "SnoozeRule", "EndRuleSnooze", "ListRuleSnoozes")
    | _of("LedgerService", Access.ANY_KEY, "GetBalances", "ListLedgerEntries", "GetTrialBalance")
    | _of("WebhookService", Access.SIGNED, "ReceiveStripeEvent", "ReceivePayPalEvent")
)


NEW_WORK = frozenset(
    f"/kassa.v1.PaymentService/{method}"
    for method in ("CreatePayment", "ConfirmPayment", "CapturePayment", "CancelPayment", "RefundPayment")
)
"""What a server that cannot keep up refuses, before it has cost anything; reads and webhooks go on."""


def check_access(access: Access, principal: Principal) -> None:
    """Lets the caller pass.

    Raises:
        KassaError: PERMISSION_DENIED.
    """
    match access:
        case Access.MERCHANT:
            allowed, needed = isinstance(principal, Caller), "a merchant's key"
        case Access.PLATFORM:
            allowed, needed = isinstance(principal, Platform), "a platform key"
        case Access.ANY_KEY | Access.SIGNED:
            return
        case _:
            assert_never(access)
    if not allowed:
        raise KassaError(Reason.PERMISSION_DENIED, f"This call needs {needed}.")
