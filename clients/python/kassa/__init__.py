"""Client of the Kassa payment gateway; applications import this module."""

from kassa.async_client import AsyncClient
from kassa.client import Client
from kassa.errors import KassaError
from kassa.v1.attention_service_pb2 import AttentionItem
from kassa.v1.dispute_service_pb2 import Dispute
from kassa.v1.fraud_service_pb2 import Decision, ListEntry, PaymentLabel, Review, RuleStatistics
from kassa.v1.ledger_service_pb2 import Balance, Balances, LedgerEntry, TrialBalance
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
    "AttentionItem",
    "Balance",
    "Balances",
    "Client",
    "Decision",
    "Dispute",
    "Failure",
    "FraudDecision",
    "KassaError",
    "LedgerEntry",
    "ListEntry",
    "NextAction",
    "Payment",
    "PaymentLabel",
    "Refund",
    "Review",
    "RuleStatistics",
    "TimelineEntry",
    "Transaction",
    "TrialBalance",
]
