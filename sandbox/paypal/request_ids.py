"""`PayPal-Request-Id`: a repeat is not done again but answered with the object as it stands now; `routes` asks first.

https://developer.paypal.com/api/rest/reference/idempotency/. As documented there, payloads are not compared, and of two
requests at the same time the second fails. A request that failed leaves its id free.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from sandbox.paypal.context import Context, now
from sandbox.paypal.errors import PayPalError
from sandbox.paypal.records import RequestId

_LIFETIMES_S: Final = {"orders": 6 * 3600}
_LIFETIME_S: Final = 45 * 86_400


class RequestIds:
    """The ids in use."""

    def __init__(self, context: Context) -> None:
        self._used = context.books.request_ids
        self._running: set[tuple[str, str]] = set()

    def known(self, account: str, operation: str, request_id: str) -> str | None:
        """Id of the object that this request made or changed before; None: it is new.

        Raises:
            PayPalError: 409, it is being done at this moment.
        """
        key = f"{operation}|{request_id}"
        if (account, key) in self._running:
            raise PayPalError("PREVIOUS_REQUEST_IN_PROGRESS")
        used = self._used.get(account, key)
        lifetime = _LIFETIMES_S.get(operation.partition(".")[0], _LIFETIME_S)
        return used.subject if used and now() - used.created < lifetime else None

    async def run(self, account: str, operation: str, request_id: str, act: Callable[[], Awaitable[str]]) -> None:
        """Runs a new request and keeps the id of its object, which `act` returns."""
        key = f"{operation}|{request_id}"
        self._running.add((account, key))
        try:
            subject = await act()
        finally:
            self._running.discard((account, key))
        self._used.put(RequestId(account, key, now(), subject))
