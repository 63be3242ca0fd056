"""Silences what the SDK logs and prints: at DEBUG it writes whole request bodies, card numbers among them.

`connection` calls it before the first request.
"""

import logging

import stripe
from stripe import _util


def _keep(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def silence_sdk() -> None:
    """Takes effect for the whole process, however its logging is set up; harmless to repeat.

    Also turns telemetry off, for which the SDK would write an identifier into the user's home.
    """
    logging.getLogger("stripe").addFilter(_keep)
    stripe.log = None
    _util.STRIPE_LOG = None  # The variable STRIPE_LOG makes the SDK print to stderr, past any logging.
    stripe.enable_telemetry = False
