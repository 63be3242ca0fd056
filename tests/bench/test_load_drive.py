"""Loops count what they say they count, whatever the server does."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import cast

import pytest

from bench.load import drive
from bench.load.drive import Grpc, Rest, Tally, closed, open_loop
from bench.load.shoppers import CARDS, Requests, card_number, shopper

Done = Callable[[str], None]


class Server:
    """Calls that end after some time, with some word."""

    def __init__(self, seconds: float, outcome: str = "ok") -> None:
        self.seconds, self.outcome, self.calls = seconds, outcome, 0
        self.under_way = self.most = 0

    def call(self, done: Done) -> None:
        self.calls += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        if self.seconds:
            asyncio.get_running_loop().call_later(self.seconds, self._end, done)
        else:
            self._end(done)

    def _end(self, done: Done) -> None:
        self.under_way -= 1
        done(self.outcome)


def calls(server: Server) -> Grpc:
    return cast(Grpc, server)


async def test_a_closed_loop_keeps_one_call_of_each_client_under_way() -> None:
    server, now = Server(0.02), time.time()
    tally = Tally(now, now + 3)
    await closed(calls(server), 5, tally)
    assert server.most == 5
    assert tally.outcomes["ok"] == tally.completed == len(tally.latencies_s) > 5
    assert min(tally.latencies_s) >= 0.0199


async def test_a_client_that_is_refused_at_once_comes_back_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would call itself until Python gives up."""
    monkeypatch.setattr(drive, "_RETRY_AFTER_S", 0.05)
    server, now = Server(0, "refused"), time.time()
    tally = Tally(now, now + 3)
    await closed(calls(server), 3, tally)
    assert 3 < tally.outcomes["refused"] <= 3 * 60
    assert (tally.completed, len(tally.latencies_s)) == (0, 0)


async def test_an_open_loop_calls_at_its_rate_however_slow_the_answers_are() -> None:
    server, now = Server(0.5), time.time()
    tally = Tally(now + 0.105, now + 0.405, by_due=True)
    await open_loop(calls(server), 100, now, tally)
    assert server.calls == 41
    assert tally.outcomes == {"ok": 30}
    assert tally.completed == 0


async def test_an_open_loop_counts_latency_from_when_a_call_was_due() -> None:
    """The loop begins when all is over, as if it had been stopped; nothing of that time may be lost."""
    server, late = Server(0.01), time.time() - 2
    tally = Tally(late, late + 0.99, by_due=True)
    await open_loop(calls(server), 50, late, tally)
    assert tally.outcomes == {"ok": 50}
    assert min(tally.latencies_s) > 1.0


async def test_what_is_never_answered_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.load.drive._LONGEST_WAIT_S", 0.1)
    server, now = Server(60), time.time()
    tally = Tally(now, now + 0.1, by_due=True)
    await open_loop(calls(server), 50, now, tally)
    assert tally.outcomes == Counter({"no answer": server.calls})


async def test_a_server_that_is_not_there_ends_calls(unused_tcp_port: int) -> None:
    rest = Rest(requests("create"), [("127.0.0.1", unused_tcp_port)], "")
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    rest.call(ended.set_result)
    assert await asyncio.wait_for(ended, 10) == "no connection"


def requests(operation: str) -> Requests:
    return Requests(operation, ["a", "b"], [(1, "pay_1")], unique="run", seed=1)


def test_no_two_payments_have_the_same_key() -> None:
    made = requests("create")
    assert len({made.rest().body.partition(b"Idempotency-Key: ")[2][:6] for _ in range(9)}) == 9


@pytest.mark.parametrize("operation", ["create", "get", "list", "guide"])
def test_a_request_tells_the_length_of_its_body(operation: str) -> None:
    head, _, body = requests(operation).rest().body.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
    assert int(length or 0) == len(body)


def test_card_numbers_are_valid_and_of_a_thousand_bins() -> None:
    numbers = [card_number(number) for number in range(1, CARDS + 1)]
    assert len(set(numbers)) == CARDS
    assert len({number[:8] for number in numbers}) == 1_000
    for number in numbers[::997]:
        digits = [int(one) for one in reversed(number)]
        assert (sum(digits[::2]) + sum(sum(divmod(2 * one, 10)) for one in digits[1::2])) % 10 == 0


def test_a_card_holder_is_always_the_same() -> None:
    assert shopper(7, 100) == shopper(7, 100) != shopper(8, 100)
