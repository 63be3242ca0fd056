"""What every adapter must do: the same named scenarios against the real sandbox, one subclass for each processor.

A subclass names how its processor is driven (`driver.py`); the scenarios know the contract and the processor's books
alone. Each test's docstring names its scenarios.
"""

from tests.processors.conformance_books import Books
from tests.processors.conformance_disputes import Disputes
from tests.processors.conformance_lost_answers import LostAnswers
from tests.processors.conformance_payments import Payments
from tests.processors.conformance_webhooks import Webhooks


class Conformance(Payments, LostAnswers, Webhooks, Disputes, Books):
    """The whole suite."""
