"""The call at hand: who makes it, under which id and key, and what its answer's headers shall say.

`rpc.interceptor` makes one for each call; the services reach it through `current_call`.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from server.domain.errors import KassaError, Reason
from server.usecases.answers import Caller
from server.usecases.authenticate import Principal

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(slots=True)
class Call:
    """One call; the two last attributes are the service's to set.

    Attributes:
        headers: Metadata with lower-case names, as they came.
        principal: Who calls; None for a webhook.
        http_status: Over REST, where it is not 200.
        replayed: An earlier call with the same idempotency key made the answer.
    """

    method: str
    request_id: str
    headers: Mapping[str, str | bytes] = field(repr=False)
    principal: Principal | None = None
    http_status: int = 200
    replayed: bool = False

    @property
    def merchant(self) -> Caller:
        """The merchant that calls; the method's access rule has made sure that it is one."""
        assert isinstance(self.principal, Caller), "the access table lets merchants alone call this"
        return replace(self.principal, request_id=self.request_id)

    @property
    def idempotency_key(self) -> str:
        """The key under which the call may be repeated.

        Raises:
            KassaError: IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_INVALID.
        """
        key = self.headers.get("idempotency-key")
        if key is None or key == "":
            raise KassaError(
                Reason.IDEMPOTENCY_KEY_MISSING,
                "idempotency-key is missing; send one of your own with every call that moves money, and the same one "
                "when you repeat it",
                field="idempotency-key",
            )
        if not isinstance(key, str) or _IDEMPOTENCY_KEY.fullmatch(key) is None:
            raise KassaError(
                Reason.IDEMPOTENCY_KEY_INVALID,
                "idempotency-key must be 1 to 255 visible ASCII characters",
                field="idempotency-key",
            )
        return key


_current: ContextVar[Call] = ContextVar("call")


def enter_call(call: Call) -> None:
    """Makes a call the current one of this task."""
    _current.set(call)


def current_call() -> Call:
    """Returns the call that this task serves."""
    return _current.get()
