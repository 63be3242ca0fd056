"""Recording: every call made inside of the block, however it ends, and nothing where nobody records."""

import asyncio

import pytest

from server.domain.processor_call import CallError
from server.processors.contract import OutcomeUnknown, ProcessorBusy, ProcessorRejected, ProcessorUnavailable
from server.processors.exchanges import exchange, recording


def test_a_call_is_recorded_with_its_answer() -> None:
    with recording() as calls, exchange("POST v1/refunds", lambda: {"amount": 5}, "key-1") as told:
        told.answered(200, lambda: {"id": "re_1"}, "req_1")
    (call,) = calls
    assert (call.operation, call.idempotency_key, call.request) == ("POST v1/refunds", "key-1", {"amount": 5})
    assert (call.status, call.response, call.error) == (200, {"id": "re_1"}, CallError.NONE)
    assert call.processor_request_id == "req_1"
    assert call.duration_us >= 0 and call.started_at.tzinfo is not None


@pytest.mark.parametrize(
    ("meaning", "error"),
    [
        (ProcessorUnavailable(), CallError.NOT_SENT),
        (ProcessorRejected("invalid_client"), CallError.NOT_SENT),
        (OutcomeUnknown(), CallError.ANSWER_LOST),
    ],
)
def test_a_call_without_an_answer_says_why(meaning: Exception, error: CallError) -> None:
    with recording() as calls, pytest.raises(type(meaning)), exchange("GET x", dict) as told:
        told.failed(meaning)
        raise meaning
    assert [(call.error, call.status, call.response) for call in calls] == [(error, None, None)]


def test_an_answer_that_cannot_be_read_is_told_so() -> None:
    with recording() as calls, exchange("GET x", dict) as told:
        told.answered(502, None)
    assert [(call.error, call.status) for call in calls] == [(CallError.UNREADABLE, 502)]


def test_a_call_that_found_no_place_was_never_made() -> None:
    with recording() as calls, pytest.raises(ProcessorBusy), exchange("GET x", dict) as told:
        told.failed(ProcessorBusy())
        raise ProcessorBusy
    assert calls == []


async def test_a_wait_that_a_deadline_ends_is_given_up() -> None:
    with recording() as calls, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            with exchange("GET x", dict):
                await asyncio.sleep(10)
    assert [call.error for call in calls] == [CallError.GIVEN_UP]


def test_nothing_is_redacted_where_nobody_records() -> None:
    def redact() -> dict[str, object]:
        raise AssertionError("nobody asked")

    with exchange("GET x", redact) as told:
        told.answered(200, redact)


async def test_two_payments_at_once_keep_their_calls_apart_and_tasks_inherit() -> None:
    async def one(name: str) -> list[str]:
        async def call() -> None:
            with exchange(name, dict) as told:
                await asyncio.sleep(0)
                told.answered(200, dict)

        with recording() as calls:
            await asyncio.gather(call(), asyncio.create_task(call()))
        return [call.operation for call in calls]

    assert await asyncio.gather(one("a"), one("b")) == [["a", "a"], ["b", "b"]]
