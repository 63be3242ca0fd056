"""PayPal behind the processor contract; `bootstrap` names what is exported here, nobody else."""

from server.processors.paypal.adapter import PayPalProcessor
from server.processors.paypal.endpoint import PayPalEndpoint

__all__ = ["PayPalEndpoint", "PayPalProcessor"]
