"""Fraud analysts' requests, checked and turned into what use cases take. Called by `rpc.fraud_service`."""

from datetime import datetime
from uuid import UUID

from kassa.v1 import fraud_service_pb2 as pb
from kassa.v1 import payment_service_pb2 as payment_pb

from server.clock import utc_now
from server.domain.card import holds_card_number
from server.domain.errors import InvalidField
from server.domain.ids import Prefix, parse_id
from server.domain.label import Label, LabelSource, PaymentLabel
from server.domain.list_entry import EVERY_MERCHANT, NewListEntry, check_list_name, check_value
from server.domain.payment import FraudOutcome
from server.domain.review import ReviewState, Ruling, Through, Verdict
from server.domain.snooze import NewSnooze, check_expiry, check_rule_id
from server.rpc import fields
from server.rpc.call import current_call
from server.rpc.vocabulary import take, take_optional, to_wire
from server.storage.decision_reads import DecisionFilter
from server.storage.list_entries import ListEntryFilter
from server.storage.review_reads import ReviewFilter
from server.storage.snoozes import SnoozeFilter
from server.usecases.answers import Caller

_STATES = {wire: domain for domain, wire in to_wire(ReviewState, pb.Review.State).items()}
_OUTCOMES = {wire: domain for domain, wire in to_wire(FraudOutcome, payment_pb.FraudDecision.Outcome).items()}
_LABELS = {wire: domain for domain, wire in to_wire(Label, pb.PaymentLabel.Label).items()}
_MAX_NAME, _MAX_REASON, _MAX_NOTE = 200, 1_000, 2_000


def own_merchant() -> UUID | None:
    """Whose payments the caller may see and decide; None for the platform, which sees all."""
    principal = current_call().principal
    return principal.merchant_id if isinstance(principal, Caller) else None


def named_merchant(given: str) -> UUID | None:
    """Whose payments the caller asks for; None: those of all, which the platform alone may.

    Raises:
        InvalidField: It is none, or not the merchant whose key it is.
    """
    own = own_merchant()
    named = parse_id(Prefix.MERCHANT, given, "merchant_id") if given else None
    if own is not None and named not in {None, own}:
        raise InvalidField("merchant_id", "must be the merchant whose key it is, or absent")
    return own or named


def parse_payment_id(given: str) -> UUID:
    """Reads which payment it is about."""
    return parse_id(Prefix.PAYMENT, given, "payment_id")


def parse_name(given: str, field: str) -> str:
    """Reads who somebody is, in the caller's words; it is told to others in errors, so it is one line."""
    name = _words(given, field, longest=_MAX_NAME, required=True).strip()
    if not name.isprintable():
        raise InvalidField(field, "must be one line of printable characters")
    return name


def parse_note(request: pb.AddReviewNoteRequest) -> str:
    """Reads what an analyst found."""
    return _words(request.text, "text", longest=_MAX_NOTE, required=True)


def parse_ruling(request: pb.ApproveReviewRequest | pb.RejectReviewRequest, verdict: Verdict) -> Ruling:
    """Reads who decides, and why."""
    reason = _words(request.reason, "reason", longest=_MAX_REASON)
    return Ruling(verdict, Through.ANALYST, parse_name(request.analyst, "analyst"), reason)


def parse_review_filter(request: pb.ListReviewsRequest) -> ReviewFilter:
    """Reads the filters of a ListReviews."""
    return ReviewFilter(
        merchant_id=named_merchant(request.merchant_id),
        state=take_optional(_STATES, request.state, "state"),
        claimed_by=parse_name(request.claimed_by, "claimed_by") if request.claimed_by else None,
    )


def parse_decision_filter(request: pb.ListDecisionsRequest) -> DecisionFilter:
    """Reads the filters of a ListDecisions."""
    return DecisionFilter(
        merchant_id=named_merchant(request.merchant_id),
        rule=check_rule_id(request.rule) if request.rule else None,
        outcome=take_optional(_OUTCOMES, request.outcome, "outcome"),
        created_after=created_after(request),
        created_before=created_before(request),
    )


def created_after(request: pb.ListDecisionsRequest | pb.GetRuleStatisticsRequest) -> datetime | None:
    """Reads where a time begins, where that is given."""
    return fields.instant(request.created_after, "created_after") if request.HasField("created_after") else None


def created_before(request: pb.ListDecisionsRequest | pb.GetRuleStatisticsRequest) -> datetime | None:
    """Reads where a time ends, where that is given."""
    return fields.instant(request.created_before, "created_before") if request.HasField("created_before") else None


def parse_new_entry(request: pb.AddListEntryRequest) -> NewListEntry:
    """Reads what goes onto a list.

    Raises:
        InvalidField: The first field that is wrong.
    """
    expires_at = fields.instant(request.expires_at, "expires_at") if request.HasField("expires_at") else None
    if expires_at is not None and expires_at <= utc_now():
        raise InvalidField("expires_at", "must be in the future, or absent")
    return NewListEntry(
        merchant_id=named_merchant(request.merchant_id) or EVERY_MERCHANT,
        list_name=check_list_name(request.list_name),
        value=check_value(request.value),
        author=parse_name(request.author, "author"),
        reason=_words(request.reason, "reason", longest=_MAX_REASON, required=True),
        expires_at=expires_at,
    )


def parse_entry_filter(request: pb.ListListEntriesRequest) -> ListEntryFilter:
    """Reads the filters of a ListListEntries."""
    return ListEntryFilter(
        merchant_id=named_merchant(request.merchant_id),
        list_name=check_list_name(request.list_name) if request.list_name else None,
        value=check_value(request.value) if request.value else None,
        include_past=request.include_past,
    )


def parse_new_snooze(request: pb.SnoozeRuleRequest) -> NewSnooze:
    """Reads which rule is silenced.

    Raises:
        InvalidField: The first field that is wrong; a snooze without an end is none.
    """
    if not request.HasField("expires_at"):
        raise InvalidField("expires_at", "must be given: a snooze ends by itself")
    return NewSnooze(
        check_rule_id(request.rule),
        parse_name(request.author, "author"),
        _words(request.reason, "reason", longest=_MAX_REASON, required=True),
        check_expiry(fields.instant(request.expires_at, "expires_at"), utc_now()),
    )


def parse_snooze_filter(request: pb.ListRuleSnoozesRequest) -> SnoozeFilter:
    """Reads the filters of a ListRuleSnoozes."""
    return SnoozeFilter(check_rule_id(request.rule) if request.rule else None, request.include_past)


def parse_label(request: pb.LabelPaymentRequest) -> PaymentLabel:
    """Reads an analyst's word on a payment."""
    return PaymentLabel(
        parse_payment_id(request.payment_id),
        take(_LABELS, request.label, "label"),
        LabelSource.ANALYST,
        parse_name(request.analyst, "analyst"),
        _words(request.note, "note", longest=_MAX_REASON),
    )


def _words(value: str, field: str, *, longest: int, required: bool = False) -> str:
    """Takes what people write; card numbers come in by copying, and must not be kept."""
    text = fields.text(value, field, longest=longest, required=required)
    if holds_card_number(text):
        raise InvalidField(field, "must not contain a card number")
    return text
