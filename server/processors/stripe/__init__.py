"""Stripe behind the processor contract; `bootstrap` names what is exported here, nobody else."""

from server.processors.stripe.adapter import StripeProcessor
from server.processors.stripe.endpoint import StripeEndpoint

__all__ = ["StripeEndpoint", "StripeProcessor"]
