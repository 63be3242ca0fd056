"""Where PayPal is reached and whose certificates are believed; `bootstrap` makes it from the settings."""

from dataclasses import dataclass

LIVE_API_BASE = "https://api-m.paypal.com"
TEST_API_BASE = "https://api-m.sandbox.paypal.com"


@dataclass(frozen=True, slots=True)
class PayPalEndpoint:
    """Endpoint settings. All but the limits concern test-mode accounts alone: live ones know PayPal's own hosts only.

    Attributes:
        api_base: Another address than PayPal's sandbox; None: PayPal's sandbox.
        certificate_hosts: `host` or `host:port` that webhook certificates come from, in place of PayPal's sandbox.
        trust_anchor_pem: The CA that issues them; None: the public ones.
        allow_http_certificates: Whether they may come by plain HTTP, as from a sandbox on the same machine.
        deadline_s: Seconds that one call may take, waiting for a thread included.
        connect_s: Seconds of these that connecting may take.
        threads: Calls that may be under way at once, all accounts together.
        max_queued: Calls that may wait for a thread; further ones are given up, unsent.
    """

    api_base: str | None = None
    certificate_hosts: frozenset[str] = frozenset()
    trust_anchor_pem: bytes | None = None
    allow_http_certificates: bool = False
    deadline_s: float = 20.0
    connect_s: float = 5.0
    threads: int = 64
    max_queued: int = 64
