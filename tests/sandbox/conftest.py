"""A fresh sandbox for each test; afterwards, all it said is held to the processors' own descriptions."""

from collections.abc import Iterator

import pytest

from tests.sandbox.harness import Loop, Running, running
from tests.sandbox.specs import check_paypal, check_stripe_request


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """Where sandboxes run."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def sandbox(loop: Loop) -> Iterator[Running]:
    """A sandbox with the demo accounts, whose webhooks go to its inbox."""
    with running(loop) as sandbox:
        yield sandbox
    for seen in sandbox.seen:
        check_paypal(seen)
    # Equal requests of a load need no second look.
    for seen in {(seen.path, seen.request): seen for seen in sandbox.seen}.values():
        check_stripe_request(seen)


@pytest.fixture
def expired(loop: Loop) -> Iterator[Running]:
    """A sandbox whose PayPal tokens are over as soon as they are issued."""
    with running(loop, paypal_token_s=0) as sandbox:
        yield sandbox
