"""Fixtures of the adapters' tests: one sandbox process for all of a worker's tests, an account for each test."""

from collections.abc import Iterator

import pytest

from tests.processors.paypal_authority import Authority, serving
from tests.processors.sandbox_process import Sandbox, running

# The suite's modules are no test files, and are imported after this one.
pytest.register_assert_rewrite(
    "tests.processors.driver",
    "tests.processors.conformance_books",
    "tests.processors.conformance_disputes",
    "tests.processors.conformance_lost_answers",
    "tests.processors.conformance_payments",
    "tests.processors.conformance_webhooks",
)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The real sandbox."""
    with running(tmp_path_factory.mktemp("sandbox")) as found:
        yield found


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    """Signs webhooks as PayPal does."""
    with serving() as found:
        yield found
