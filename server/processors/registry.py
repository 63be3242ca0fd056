"""Which processor serves what; `bootstrap` fills it with guarded adapters, use cases look them up."""

from collections.abc import Mapping
from typing import assert_never

from server.domain.errors import KassaError, Reason
from server.domain.payment import Method
from server.processors.contract import Processor


class Registry:
    """The adapters by name, and the routing between them."""

    def __init__(self, adapters: Mapping[str, Processor]) -> None:
        self._adapters = dict(adapters)

    def get(self, name: str) -> Processor:
        """Returns the adapter of a processor.

        Raises:
            KassaError: PROCESSOR_NOT_CONFIGURED.
        """
        try:
            return self._adapters[name]
        except KeyError:
            raise KassaError(
                Reason.PROCESSOR_NOT_CONFIGURED,
                f"The processor {name} is not set up here.",
                metadata={"processor": name, "configured": ",".join(sorted(self._adapters))},
            ) from None

    def processor_for(self, method: Method) -> str:
        """Returns the name of the processor that takes this method."""
        match method:
            case Method.CREDIT_CARD | Method.DEBIT_CARD | Method.BANK_TRANSFER | Method.CRYPTOCURRENCY:
                return "stripe"
            case Method.DIGITAL_WALLET:
                return "paypal"
            case _:
                assert_never(method)

    async def close(self) -> None:
        """Lets go of every adapter's connections."""
        for adapter in self._adapters.values():
            await adapter.close()
