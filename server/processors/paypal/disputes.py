"""Reads and answers disputes at PayPal. `adapter` calls."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from server.domain.dispute import DisputeStanding, DisputeState
from server.processors.contract import Account, DisputeAnswer, OutcomeUnknown, ProcessorRejected
from server.processors.paypal.answers import read, write
from server.processors.paypal.api import Form
from server.processors.paypal.connection import Json, PayPalConnection
from server.processors.paypal.evidence import evidences
from server.processors.paypal.refusals import Refusal
from server.processors.paypal.standing import standing

_PATH = "v1/customer/disputes"
_ACCEPTED: Json = {"note": "Full refund to the customer.", "accept_claim_type": "REFUND"}
_PAGE = "50"


class Disputes:
    """Every method raises `OutcomeUnknown`, `ProcessorUnavailable` or `ProcessorRejected`."""

    def __init__(self, connection: PayPalConnection) -> None:
        self._connection = connection

    async def read(self, account: Account, dispute_id: str) -> DisputeStanding:
        """Reads a dispute with its money movements."""
        try:
            dispute = await self._connection.get(account, f"{_PATH}/{dispute_id}")
        except Refusal as refusal:
            raise OutcomeUnknown(str(refusal)) from None
        return read(standing, dispute)

    async def opened_since(self, account: Account, since: datetime) -> list[str]:
        """Lists the ids of the cases that were opened since a moment, at most 180 days ago.

        https://developer.paypal.com/docs/api/customer-disputes/v1/#disputes_list
        """
        found: list[str] = []
        query = {"start_time": since.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "page_size": _PAGE}
        while True:
            page = await self._page(account, query)
            found += read(lambda told: [str(one["dispute_id"]) for one in told.get("items") or []], page)
            token = read(_next_page, page)
            if not token:
                return found
            query = {**query, "next_page_token": token}

    async def _page(self, account: Account, query: Mapping[str, str]) -> Json:
        try:
            return await self._connection.get(account, _PATH, query)
        except Refusal as refusal:
            raise OutcomeUnknown(str(refusal)) from None

    async def answer(self, account: Account, answer: DisputeAnswer) -> DisputeStanding:
        """Provides the evidence or accepts, then reads, since PayPal answers with a link alone.

        A refusal counts only where the dispute still waits for the seller.
        """
        refusal = await self._submit(account, answer)
        stands = await self.read(account, answer.processor_dispute_id)
        if refusal is not None and stands.state is DisputeState.NEEDS_RESPONSE:
            raise ProcessorRejected(refusal.issue)
        return stands

    async def _submit(self, account: Account, answer: DisputeAnswer) -> Refusal | None:
        path, evidence = f"{_PATH}/{answer.processor_dispute_id}", answer.evidence
        try:
            if evidence is None:
                await self._connection.post(account, f"{path}/accept-claim", _ACCEPTED, answer.key)
            else:
                form = Form(write(lambda: evidences(evidence)))
                await self._connection.post(account, f"{path}/provide-evidence", form, answer.key)
        except Refusal as refusal:
            return refusal
        return None


def _next_page(page: Mapping[str, Any]) -> str:
    """The token of the page that follows, out of its link; empty on the last."""
    links = [str(link["href"]) for link in page.get("links") or [] if link.get("rel") == "next"]
    return parse_qs(urlsplit(links[0]).query)["next_page_token"][0] if links else ""
