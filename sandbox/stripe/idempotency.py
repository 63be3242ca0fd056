"""Idempotency keys as Stripe keeps them; `routes` asks before it acts. https://docs.stripe.com/api/idempotent_requests

An answer is kept for every request that began to run, errors among them; not for one that was refused beforehand.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from sandbox.exchange import Reply
from sandbox.stripe.context import Context, now
from sandbox.stripe.errors import StripeError
from sandbox.stripe.records import Answer

_LIFETIME_S: Final = 86_400
_LONGEST: Final = 255


class Idempotency:
    """The keys in use.

    Args:
        salt: Key of the hash under which requests are compared: they hold card numbers.
    """

    def __init__(self, context: Context, salt: bytes) -> None:
        self._answers = context.books.answers
        self._salt = salt
        self._running: dict[tuple[str, str], Answer] = {}

    def fingerprint(self, params: dict[str, Any]) -> str:
        """What two requests under one key must have in common."""
        return hmac.new(self._salt, json.dumps(params, sort_keys=True).encode(), hashlib.sha256).hexdigest()

    async def once(  # noqa: PLR0913, PLR0917  # what tells two requests apart
        self, account: str, key: str, path: str, params: dict[str, Any], request_id: str,
        act: Callable[[], Awaitable[tuple[Reply, bool]]],
    ) -> Reply:  # fmt: skip
        """Runs `act` unless its answer is known. `act` also tells whether the request began to run.

        Raises:
            StripeError: 400 for other parameters or another path under the same key; 409 while it runs.
        """
        if len(key) > _LONGEST:
            message = "Idempotency keys are at most 255 characters long."
            raise StripeError(400, "idempotency_error", message, begun=False)
        fingerprint = self.fingerprint(params)
        known = self._running.get((account, key)) or self._answers.get(account, key)
        if known and now() - known.created < _LIFETIME_S:
            return self._replay(known, path, fingerprint)
        answer = Answer(account, key, now(), fingerprint, path, request_id)
        self._running[account, key] = answer
        try:
            reply, begun = await act()
        finally:
            del self._running[account, key]
        if begun:
            answer.status, answer.body = reply.status, reply.body.decode()
            self._answers.put(answer)
        return reply

    def _replay(self, known: Answer, path: str, fingerprint: str) -> Reply:
        if known.path != path:
            message = (
                "Keys for idempotent requests can only be used for the same endpoint they were first used for"
                f" ('{path}' vs. '{known.path}'). Try using a key other than '{known.id}' if you meant to execute a"
                " different request."
            )
            raise StripeError(400, "idempotency_error", message, begun=False)
        if known.fingerprint != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try"
                f" using a key other than '{known.id}' if you meant to execute a different request."
            )
            raise StripeError(400, "idempotency_error", message, begun=False)
        if (known.account, known.id) in self._running:
            message = (
                "There is currently another in-progress request using this Idempotent Key (that probably means you"
                f" submitted twice, and the other request is still going through): {known.id}. Please try again later."
            )
            raise StripeError(409, "invalid_request_error", message, begun=False, code="idempotency_key_in_use")
        headers = {"Idempotent-Replayed": "true", "Original-Request": known.request_id}
        return Reply(known.status, known.body.encode(), headers)
