"""A payment's timeline as the wire shows it. Called by `rpc.payment_service`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from kassa.v1 import payment_service_pb2 as pb

from server.domain.ids import Prefix, render_id
from server.domain.payment import FraudDecision, Transaction
from server.domain.processor_call import CallError
from server.domain.timeline import (
    ApiRequest,
    AttentionRaised,
    CallMade,
    EventTold,
    JournalBooked,
    ProcessorNotice,
    Reviewed,
    ReviewStep,
    TimelineEntry,
)
from server.rpc.render import render_decision, render_time, render_transaction
from server.rpc.vocabulary import to_wire

_ERRORS = {error: pb.TimelineEntry.ProcessorCall.Error.Value(error.value or "ERROR_UNSPECIFIED") for error in CallError}

_STEPS = to_wire(ReviewStep, pb.TimelineEntry.Review.Step)


def render_entry(entry: TimelineEntry) -> pb.TimelineEntry:  # noqa: PLR0911  # one return for each kind
    """Shows one thing that happened."""
    at = render_time(entry.position.at)
    match entry.what:
        case ApiRequest() as request:
            return pb.TimelineEntry(at=at, request=_request(request))
        case ProcessorNotice() as notice:
            return pb.TimelineEntry(at=at, processor_notice=_notice(notice))
        case FraudDecision() as decision:
            return pb.TimelineEntry(at=at, decision=render_decision(decision))
        case CallMade() as call:
            return pb.TimelineEntry(at=at, processor_call=_call(call))
        case Transaction() as transaction:
            return pb.TimelineEntry(at=at, transaction=render_transaction(transaction))
        case JournalBooked() as journal:
            return pb.TimelineEntry(at=at, journal=_journal(journal))
        case EventTold() as event:
            return pb.TimelineEntry(at=at, event=_event(event))
        case AttentionRaised() as attention:
            return pb.TimelineEntry(at=at, attention=_attention(attention))
        case Reviewed() as review:
            return pb.TimelineEntry(at=at, review=_review(review))
        case _:
            assert_never(entry.what)


def _request(request: ApiRequest) -> pb.TimelineEntry.Request:
    return pb.TimelineEntry.Request(
        operation=request.operation,
        idempotency_key=request.idempotency_key,
        request_id=request.request_id,
        transaction_id=_transaction_id(request.transaction_id),
        amount=request.amount,
        currency=request.currency,
    )


def _review(review: Reviewed) -> pb.TimelineEntry.Review:
    return pb.TimelineEntry.Review(
        step=_STEPS[review.step], through=review.through, analyst=review.analyst, words=review.words
    )


def _notice(notice: ProcessorNotice) -> pb.TimelineEntry.ProcessorNotice:
    return pb.TimelineEntry.ProcessorNotice(
        processor=notice.processor,
        processor_event_id=notice.event_id,
        type=notice.type,
        result=notice.result,
        created_at=render_time(notice.created_at),
        handled_at=_optional_time(notice.handled_at),
    )


def _call(made: CallMade) -> pb.TimelineEntry.ProcessorCall:
    call = made.call
    seconds, microseconds = divmod(call.duration_us, 1_000_000)
    return pb.TimelineEntry.ProcessorCall(
        processor=made.processor,
        transaction_id=_transaction_id(made.transaction_id),
        operation=call.operation,
        idempotency_key=call.idempotency_key,
        request=_struct(call.request),
        status=call.status or 0,
        response=None if call.response is None else _struct(call.response),
        error=_ERRORS[call.error],
        processor_request_id=call.processor_request_id,
        duration=Duration(seconds=seconds, nanos=microseconds * 1_000),
    )


def _journal(journal: JournalBooked) -> pb.TimelineEntry.Journal:
    return pb.TimelineEntry.Journal(
        kind=journal.kind,
        transaction_id=_transaction_id(journal.transaction_id),
        lines=[
            pb.TimelineEntry.Journal.Line(account=line.account, amount=line.amount, currency=line.currency)
            for line in journal.lines
        ],
    )


def _event(event: EventTold) -> pb.TimelineEntry.Event:
    return pb.TimelineEntry.Event(
        id=render_id(Prefix.EVENT, event.event_id),
        type=event.type,
        transaction_id=_transaction_id(event.transaction_id),
    )


def _attention(attention: AttentionRaised) -> pb.TimelineEntry.Attention:
    return pb.TimelineEntry.Attention(
        kind=attention.kind,
        detail=attention.detail,
        transaction_id=_transaction_id(attention.transaction_id),
        resolved_at=_optional_time(attention.resolved_at),
    )


def _struct(value: Mapping[str, Any]) -> Struct:
    shown = Struct()
    shown.update(value)
    return shown


def _transaction_id(value: UUID | None) -> str:
    return "" if value is None else render_id(Prefix.TRANSACTION, value)


def _optional_time(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else render_time(moment)
