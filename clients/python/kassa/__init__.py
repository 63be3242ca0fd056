"""Client of the Kassa payment gateway; applications import this module."""

from kassa.async_client import AsyncClient
from kassa.client import Client
from kassa.errors import KassaError
from kassa.v1.payment_service_pb2 import (
    Failure,
    FraudDecision,
    NextAction,
    Payment,
    Refund,
    TimelineEntry,
    Transaction,
)

__all__ = [
    "AsyncClient",
    "Client",
    "Failure",
    "FraudDecision",
    "KassaError",
    "NextAction",
    "Payment",
    "Refund",
    "TimelineEntry",
    "Transaction",
]
