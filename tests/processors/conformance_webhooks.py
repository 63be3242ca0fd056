"""Conformance scenarios: webhooks good, forged, stale, duplicated and reordered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.processors.contract import (
    EventRejected,
    Processor,
)
from tests.processors.driver import Driver


class Webhooks(Driver):
    """See the module."""

    async def test_a_good_webhook_names_its_payment(self, adapter: Processor) -> None:
        """webhook good, duplicated"""
        request, approved = await self.take(adapter)
        event = self.event(request, approved)
        headers, body = self.signed(event)
        found = await adapter.parse_event(self.account, headers, body)
        assert found.id == event["id"]
        assert found.transaction_id == request.transaction_id
        assert found.processor_payment_id == approved.processor_payment_id
        assert found.created_at.tzinfo is not None
        assert await adapter.parse_event(self.account, headers, body) == found

    async def test_a_forged_webhook_is_rejected(self, adapter: Processor) -> None:
        """webhook forged"""
        request, approved = await self.take(adapter)
        headers, body = self.signed(self.event(request, approved))
        other_headers, _ = self.signed(self.event(request, approved), secret="another")
        attempts = [
            (headers, body.replace(b"1999", b"1")),
            (headers, body + b" "),
            (headers, b"\xff\xfe"),
            (other_headers, body),
            ({}, body),
        ]
        attempts += [({**headers, name: ""}, body) for name in headers]
        attempts += [({**headers, name: "\u00e9|,="}, body) for name in headers]
        for one, sent in attempts:
            with pytest.raises(EventRejected) as rejected:
                await adapter.parse_event(self.account, one, sent)
            assert not rejected.value.stale

    async def test_a_stale_webhook_is_told_apart(self, adapter: Processor) -> None:
        """webhook stale"""
        request, approved = await self.take(adapter)
        long_ago = datetime.now(UTC) - timedelta(days=4)
        headers, body = self.signed(self.event(request, approved), sent_at=long_ago)
        with pytest.raises(EventRejected) as rejected:
            await adapter.parse_event(self.account, headers, body)
        assert rejected.value.stale

    async def test_an_event_of_any_age_is_read(self, adapter: Processor) -> None:
        """webhook reordered: an event says which object to read, never how it stands"""
        request, approved = await self.take(adapter)
        event = self.event(request, approved)
        first = await adapter.parse_event(self.account, *self.signed(event))
        second = await adapter.parse_event(self.account, *self.signed({**event, "id": f"{event['id']}0"}))
        assert replace(second, id=first.id) == first

    async def test_an_unreadable_webhook_is_rejected(self, adapter: Processor) -> None:
        """webhook forged"""
        unreadable: tuple[Any, ...] = ([], {}, {"id": 7}, {"object": "event"}, {"event_type": "X", "resource": None})
        for event in unreadable:
            headers, body = self.signed(event)
            with pytest.raises(EventRejected):
                await adapter.parse_event(self.account, headers, body)
