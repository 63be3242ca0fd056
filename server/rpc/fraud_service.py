"""FraudService: parse, use case, render. Any key may call, a merchant's for what is its own; see `rpc.server`."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from grpc.aio import ServicerContext
from kassa.v1 import fraud_service_pb2 as pb
from kassa.v1 import fraud_service_pb2_grpc as pb_grpc

from server.clock import utc_now
from server.domain.ids import Prefix, parse_id
from server.domain.review import Ruling, Verdict
from server.rpc import fields
from server.rpc import parse_fraud as parse
from server.rpc import render_fraud as render
from server.rpc.call import current_call
from server.usecases.decide_review import DecideReview
from server.usecases.decisions import Decisions
from server.usecases.list_entries import ListEntries
from server.usecases.reviews import ReviewDesk
from server.usecases.snooze_rules import FindSnoozes, SnoozeRules

Context: TypeAlias = "ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudUseCases:
    """What the service calls; every one raises KassaError alone."""

    desk: ReviewDesk
    decide: DecideReview
    decisions: Decisions
    lists: ListEntries
    snoozes: SnoozeRules
    find_snoozes: FindSnoozes


class FraudService(pb_grpc.FraudServiceServicer):
    """See the contract. Over REST every answer is 200."""

    def __init__(self, use_cases: FraudUseCases) -> None:
        self._use_cases = use_cases

    async def ListReviews(self, request: pb.ListReviewsRequest, context: Context) -> pb.ListReviewsResponse:
        """Shows the queue, without notes and facts."""
        wanted, size = parse.parse_review_filter(request), fields.page_size(request.page_size)
        page = await self._use_cases.desk.list(wanted, size, request.page_token)
        reviews = [render.render_review(case, utc_now(), whole=False) for case in page.items]
        return pb.ListReviewsResponse(reviews=reviews, next_page_token=page.next_page_token)

    async def GetReview(self, request: pb.GetReviewRequest, context: Context) -> pb.Review:
        """Shows one review with everything."""
        payment_id = parse.parse_payment_id(request.payment_id)
        return render.render_review(await self._use_cases.desk.get(parse.own_merchant(), payment_id), utc_now())

    async def ClaimReview(self, request: pb.ClaimReviewRequest, context: Context) -> pb.Review:
        """Gives a review to an analyst for a while."""
        payment_id, analyst = parse.parse_payment_id(request.payment_id), parse.parse_name(request.analyst, "analyst")
        return render.render_review(
            await self._use_cases.desk.claim(parse.own_merchant(), payment_id, analyst), utc_now()
        )

    async def ReleaseReview(self, request: pb.ReleaseReviewRequest, context: Context) -> pb.Review:
        """Ends the analyst's claim."""
        payment_id, analyst = parse.parse_payment_id(request.payment_id), parse.parse_name(request.analyst, "analyst")
        return render.render_review(
            await self._use_cases.desk.release(parse.own_merchant(), payment_id, analyst), utc_now()
        )

    async def AddReviewNote(self, request: pb.AddReviewNoteRequest, context: Context) -> pb.Review:
        """Keeps what an analyst found."""
        payment_id, author = parse.parse_payment_id(request.payment_id), parse.parse_name(request.analyst, "analyst")
        case = await self._use_cases.desk.add_note(parse.own_merchant(), payment_id, author, parse.parse_note(request))
        return render.render_review(case, utc_now())

    async def ApproveReview(self, request: pb.ApproveReviewRequest, context: Context) -> pb.Review:
        """Lets the payment go on."""
        return await self._rule(request.payment_id, parse.parse_ruling(request, Verdict.APPROVE))

    async def RejectReview(self, request: pb.RejectReviewRequest, context: Context) -> pb.Review:
        """Calls the payment off."""
        return await self._rule(request.payment_id, parse.parse_ruling(request, Verdict.REJECT))

    async def _rule(self, payment_id: str, ruling: Ruling) -> pb.Review:
        call, about = current_call(), parse.parse_payment_id(payment_id)
        answer = await self._use_cases.decide(
            parse.own_merchant(), call.idempotency_key, about, ruling, call.request_id
        )
        call.replayed = answer.replayed
        return render.render_review(answer.value, utc_now())

    async def GetDecision(self, request: pb.GetDecisionRequest, context: Context) -> pb.Decision:
        """Shows what the rules decided and saw."""
        payment_id = parse.parse_payment_id(request.payment_id)
        return render.render_decided(await self._use_cases.decisions.get(parse.own_merchant(), payment_id))

    async def ListDecisions(self, request: pb.ListDecisionsRequest, context: Context) -> pb.ListDecisionsResponse:
        """Shows decisions with their facts."""
        wanted, size = parse.parse_decision_filter(request), fields.page_size(request.page_size)
        page = await self._use_cases.decisions.list(wanted, size, request.page_token)
        decisions = [render.render_decided(decided) for decided in page.items]
        return pb.ListDecisionsResponse(decisions=decisions, next_page_token=page.next_page_token)

    async def AddListEntry(self, request: pb.AddListEntryRequest, context: Context) -> pb.ListEntry:
        """Puts a value on a list."""
        return render.render_list_entry(await self._use_cases.lists.add(parse.parse_new_entry(request)))

    async def RemoveListEntry(self, request: pb.RemoveListEntryRequest, context: Context) -> pb.ListEntry:
        """Takes a value off its list."""
        entry_id = parse_id(Prefix.LIST_ENTRY, request.list_entry_id, "list_entry_id")
        removed_by = parse.parse_name(request.removed_by, "removed_by")
        return render.render_list_entry(await self._use_cases.lists.remove(parse.own_merchant(), entry_id, removed_by))

    async def ListListEntries(self, request: pb.ListListEntriesRequest, context: Context) -> pb.ListListEntriesResponse:
        """Shows what was put on lists."""
        wanted, size = parse.parse_entry_filter(request), fields.page_size(request.page_size)
        page = await self._use_cases.lists.list(wanted, size, request.page_token)
        entries = [render.render_list_entry(entry) for entry in page.items]
        return pb.ListListEntriesResponse(entries=entries, next_page_token=page.next_page_token)

    async def LabelPayment(self, request: pb.LabelPaymentRequest, context: Context) -> pb.PaymentLabel:
        """Keeps an analyst's word."""
        return render.render_label(
            await self._use_cases.decisions.label(parse.own_merchant(), parse.parse_label(request))
        )

    async def SnoozeRule(self, request: pb.SnoozeRuleRequest, context: Context) -> pb.RuleSnooze:
        """Silences a rule for a time."""
        return render.render_snooze(await self._use_cases.snoozes.add(parse.parse_new_snooze(request)))

    async def EndRuleSnooze(self, request: pb.EndRuleSnoozeRequest, context: Context) -> pb.RuleSnooze:
        """Lets a rule act again."""
        snooze_id = parse_id(Prefix.SNOOZE, request.snooze_id, "snooze_id")
        ended_by = parse.parse_name(request.ended_by, "ended_by")
        return render.render_snooze(await self._use_cases.snoozes.end(snooze_id, ended_by))

    async def ListRuleSnoozes(self, request: pb.ListRuleSnoozesRequest, context: Context) -> pb.ListRuleSnoozesResponse:
        """Shows which rules are silent."""
        wanted, size = parse.parse_snooze_filter(request), fields.page_size(request.page_size)
        page = await self._use_cases.find_snoozes.list(wanted, size, request.page_token)
        snoozes = [render.render_snooze(snooze) for snooze in page.items]
        return pb.ListRuleSnoozesResponse(snoozes=snoozes, next_page_token=page.next_page_token)

    async def GetRuleStatistics(self, request: pb.GetRuleStatisticsRequest, context: Context) -> pb.RuleStatistics:
        """Counts what rules did."""
        merchant_id = parse.named_merchant(request.merchant_id)
        found = await self._use_cases.decisions.statistics(
            merchant_id, parse.created_after(request), parse.created_before(request)
        )
        return render.render_statistics(found)
