"""What fraud analysts do, for threads and for asyncio; used through `Client.fraud` and `AsyncClient.fraud`."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Unpack

import grpc

from kassa.requests import (
    DecisionFilter,
    ListEntryFilter,
    NewListEntry,
    ReviewFilter,
    SnoozeFilter,
    decisions_request,
    entry_request,
    label_request,
    list_entries_request,
    reviews_request,
    snooze_request,
    snoozes_request,
    statistics_request,
)
from kassa.v1 import fraud_service_pb2 as pb
from kassa.v1.fraud_service_pb2_grpc import FraudServiceStub

if TYPE_CHECKING:
    import grpc.aio

    from kassa.async_client import AsyncSender
    from kassa.client import Sender

Label = Literal["FRAUD", "LEGIT"]


class Fraud:
    """Reviews, decisions, lists, labels, statistics: the merchant's own, or with a platform key those of all. Snoozes.

    Every method raises `KassaError` where the call is refused or got no answer. `approve` and `reject` move money and
    make an idempotency key by themselves.
    """

    def __init__(self, channel: grpc.Channel, sender: "Sender") -> None:
        self._stub = FraudServiceStub(channel)
        self._sender = sender

    def reviews(self, **criteria: Unpack[ReviewFilter]) -> Iterator[pb.Review]:
        """Iterates over reviews: open ones first, by deadline; without notes and facts."""
        request = reviews_request(criteria)
        while True:
            page = self._sender.read(self._stub.ListReviews, request)
            yield from page.reviews
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def review(self, payment_id: str) -> pb.Review:
        """Returns the review of a payment, with its notes and the facts that the rules saw."""
        return self._sender.read(self._stub.GetReview, pb.GetReviewRequest(payment_id=payment_id))

    def claim(self, payment_id: str, *, analyst: str) -> pb.Review:
        """Claims a review for an analyst, so that nobody else decides it for a while."""
        request = pb.ClaimReviewRequest(payment_id=payment_id, analyst=analyst)
        return self._sender.read(self._stub.ClaimReview, request)

    def release(self, payment_id: str, *, analyst: str) -> pb.Review:
        """Ends the analyst's own claim."""
        request = pb.ReleaseReviewRequest(payment_id=payment_id, analyst=analyst)
        return self._sender.read(self._stub.ReleaseReview, request)

    def add_note(self, payment_id: str, *, analyst: str, text: str) -> pb.Review:
        """Writes down what an analyst has found."""
        request = pb.AddReviewNoteRequest(payment_id=payment_id, analyst=analyst, text=text)
        return self._sender.read(self._stub.AddReviewNote, request)

    def approve(
        self, payment_id: str, *, analyst: str, reason: str = "", idempotency_key: str | None = None
    ) -> pb.Review:
        """Lets a payment go on: it is captured, or waits for its merchant to capture it."""
        request = pb.ApproveReviewRequest(payment_id=payment_id, analyst=analyst, reason=reason)
        return self._sender.write(self._stub.ApproveReview, request, idempotency_key)

    def reject(
        self, payment_id: str, *, analyst: str, reason: str = "", idempotency_key: str | None = None
    ) -> pb.Review:
        """Calls a payment off: its funds are released."""
        request = pb.RejectReviewRequest(payment_id=payment_id, analyst=analyst, reason=reason)
        return self._sender.write(self._stub.RejectReview, request, idempotency_key)

    def decisions(self, **criteria: Unpack[DecisionFilter]) -> Iterator[pb.Decision]:
        """Iterates over decisions with all that the rules saw, newest first."""
        request = decisions_request(criteria)
        while True:
            page = self._sender.read(self._stub.ListDecisions, request)
            yield from page.decisions
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def decision(self, payment_id: str) -> pb.Decision:
        """Returns what the rules decided about a payment, all that they saw, and what shadows would have decided."""
        return self._sender.read(self._stub.GetDecision, pb.GetDecisionRequest(payment_id=payment_id))

    def label(self, payment_id: str, label: Label, *, analyst: str, note: str = "") -> pb.PaymentLabel:
        """Says whether a payment was fraud; the last word counts."""
        return self._sender.read(self._stub.LabelPayment, label_request(payment_id, label, analyst, note))

    def list_entries(self, **criteria: Unpack[ListEntryFilter]) -> Iterator[pb.ListEntry]:
        """Iterates over what was put on lists, newest first."""
        request = list_entries_request(criteria)
        while True:
            page = self._sender.read(self._stub.ListListEntries, request)
            yield from page.entries
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def add_list_entry(self, **entry: Unpack[NewListEntry]) -> pb.ListEntry:
        """Puts a value on a list; an older entry of the same value gives way."""
        return self._sender.read(self._stub.AddListEntry, entry_request(entry))

    def remove_list_entry(self, list_entry_id: str, *, removed_by: str) -> pb.ListEntry:
        """Takes a value off its list; the entry is kept, marked."""
        request = pb.RemoveListEntryRequest(list_entry_id=list_entry_id, removed_by=removed_by)
        return self._sender.read(self._stub.RemoveListEntry, request)

    def snooze_rule(self, rule: str, *, author: str, reason: str, expires_at: datetime) -> pb.RuleSnooze:
        """Silences a rule until `expires_at`, which must be aware and at most 30 days away; needs a platform key."""
        return self._sender.read(self._stub.SnoozeRule, snooze_request(rule, author, reason, expires_at))

    def end_snooze(self, snooze_id: str, *, ended_by: str) -> pb.RuleSnooze:
        """Lets a rule act again before its snooze is over; needs a platform key."""
        request = pb.EndRuleSnoozeRequest(snooze_id=snooze_id, ended_by=ended_by)
        return self._sender.read(self._stub.EndRuleSnooze, request)

    def snoozes(self, **criteria: Unpack[SnoozeFilter]) -> Iterator[pb.RuleSnooze]:
        """Iterates over snoozes, newest first; needs a platform key."""
        request = snoozes_request(criteria)
        while True:
            page = self._sender.read(self._stub.ListRuleSnoozes, request)
            yield from page.snoozes
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def rule_statistics(
        self, *, created_after: datetime | None = None, created_before: datetime | None = None, merchant_id: str = ""
    ) -> pb.RuleStatistics:
        """Counts what rules did and shadow rulesets would have, in the last week unless told; times must be aware."""
        request = statistics_request(created_after, created_before, merchant_id)
        return self._sender.read(self._stub.GetRuleStatistics, request)


class AsyncFraud:
    """Reviews, decisions, lists, labels, statistics: the merchant's own, or with a platform key those of all. Snoozes.

    Every method raises `KassaError` where the call is refused or got no answer. `approve` and `reject` move money and
    make an idempotency key by themselves.
    """

    def __init__(self, channel: "grpc.aio.Channel", sender: "AsyncSender") -> None:
        self._stub = FraudServiceStub(channel)
        self._sender = sender

    async def reviews(self, **criteria: Unpack[ReviewFilter]) -> AsyncIterator[pb.Review]:
        """Iterates over reviews: open ones first, by deadline; without notes and facts."""
        request = reviews_request(criteria)
        while True:
            page = await self._sender.read(self._stub.ListReviews, request)
            for one in page.reviews:
                yield one
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def review(self, payment_id: str) -> pb.Review:
        """Returns the review of a payment, with its notes and the facts that the rules saw."""
        return await self._sender.read(self._stub.GetReview, pb.GetReviewRequest(payment_id=payment_id))

    async def claim(self, payment_id: str, *, analyst: str) -> pb.Review:
        """Claims a review for an analyst, so that nobody else decides it for a while."""
        request = pb.ClaimReviewRequest(payment_id=payment_id, analyst=analyst)
        return await self._sender.read(self._stub.ClaimReview, request)

    async def release(self, payment_id: str, *, analyst: str) -> pb.Review:
        """Ends the analyst's own claim."""
        request = pb.ReleaseReviewRequest(payment_id=payment_id, analyst=analyst)
        return await self._sender.read(self._stub.ReleaseReview, request)

    async def add_note(self, payment_id: str, *, analyst: str, text: str) -> pb.Review:
        """Writes down what an analyst has found."""
        request = pb.AddReviewNoteRequest(payment_id=payment_id, analyst=analyst, text=text)
        return await self._sender.read(self._stub.AddReviewNote, request)

    async def approve(
        self, payment_id: str, *, analyst: str, reason: str = "", idempotency_key: str | None = None
    ) -> pb.Review:
        """Lets a payment go on: it is captured, or waits for its merchant to capture it."""
        request = pb.ApproveReviewRequest(payment_id=payment_id, analyst=analyst, reason=reason)
        return await self._sender.write(self._stub.ApproveReview, request, idempotency_key)

    async def reject(
        self, payment_id: str, *, analyst: str, reason: str = "", idempotency_key: str | None = None
    ) -> pb.Review:
        """Calls a payment off: its funds are released."""
        request = pb.RejectReviewRequest(payment_id=payment_id, analyst=analyst, reason=reason)
        return await self._sender.write(self._stub.RejectReview, request, idempotency_key)

    async def decisions(self, **criteria: Unpack[DecisionFilter]) -> AsyncIterator[pb.Decision]:
        """Iterates over decisions with all that the rules saw, newest first."""
        request = decisions_request(criteria)
        while True:
            page = await self._sender.read(self._stub.ListDecisions, request)
            for one in page.decisions:
                yield one
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def decision(self, payment_id: str) -> pb.Decision:
        """Returns what the rules decided about a payment, all that they saw, and what shadows would have decided."""
        return await self._sender.read(self._stub.GetDecision, pb.GetDecisionRequest(payment_id=payment_id))

    async def label(self, payment_id: str, label: Label, *, analyst: str, note: str = "") -> pb.PaymentLabel:
        """Says whether a payment was fraud; the last word counts."""
        return await self._sender.read(self._stub.LabelPayment, label_request(payment_id, label, analyst, note))

    async def list_entries(self, **criteria: Unpack[ListEntryFilter]) -> AsyncIterator[pb.ListEntry]:
        """Iterates over what was put on lists, newest first."""
        request = list_entries_request(criteria)
        while True:
            page = await self._sender.read(self._stub.ListListEntries, request)
            for one in page.entries:
                yield one
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def add_list_entry(self, **entry: Unpack[NewListEntry]) -> pb.ListEntry:
        """Puts a value on a list; an older entry of the same value gives way."""
        return await self._sender.read(self._stub.AddListEntry, entry_request(entry))

    async def remove_list_entry(self, list_entry_id: str, *, removed_by: str) -> pb.ListEntry:
        """Takes a value off its list; the entry is kept, marked."""
        request = pb.RemoveListEntryRequest(list_entry_id=list_entry_id, removed_by=removed_by)
        return await self._sender.read(self._stub.RemoveListEntry, request)

    async def snooze_rule(self, rule: str, *, author: str, reason: str, expires_at: datetime) -> pb.RuleSnooze:
        """Silences a rule until `expires_at`, which must be aware and at most 30 days away; needs a platform key."""
        return await self._sender.read(self._stub.SnoozeRule, snooze_request(rule, author, reason, expires_at))

    async def end_snooze(self, snooze_id: str, *, ended_by: str) -> pb.RuleSnooze:
        """Lets a rule act again before its snooze is over; needs a platform key."""
        request = pb.EndRuleSnoozeRequest(snooze_id=snooze_id, ended_by=ended_by)
        return await self._sender.read(self._stub.EndRuleSnooze, request)

    async def snoozes(self, **criteria: Unpack[SnoozeFilter]) -> AsyncIterator[pb.RuleSnooze]:
        """Iterates over snoozes, newest first; needs a platform key."""
        request = snoozes_request(criteria)
        while True:
            page = await self._sender.read(self._stub.ListRuleSnoozes, request)
            for one in page.snoozes:
                yield one
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def rule_statistics(
        self, *, created_after: datetime | None = None, created_before: datetime | None = None, merchant_id: str = ""
    ) -> pb.RuleStatistics:
        """Counts what rules did and shadow rulesets would have, in the last week unless told; times must be aware."""
        request = statistics_request(created_after, created_before, merchant_id)
        return await self._sender.read(self._stub.GetRuleStatistics, request)
