"""A running stack as acceptance tests see it: shops, faults, processes, and a look into the database."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psutil
import psycopg2
import requests

from sandbox.local.parts import metrics_port
from sandbox.local.stack import LocalStack
from server.domain.ids import Prefix, parse_id
from tests.acceptance.shop import TIMEOUT_S, Json, Shop, wait_until


def zone_at_noon() -> str:
    """A time zone where it is noon now: rules look at a merchant's hour, and tests run at any."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"  # the zones' signs are the other way round


@dataclass(frozen=True)
class OwnAccount:
    """A merchant's own account at a processor. No webhook of it arrives by itself.

    Attributes:
        id: Kassa's of it, as callers write it.
        at_processor: The processor's own.
    """

    id: str
    at_processor: str
    secret_key: str
    webhook_secret: str

    @property
    def uuid(self) -> UUID:
        """Kassa's id of it as the database holds it."""
        return parse_id(Prefix.PROCESSOR_ACCOUNT, self.id, "account_id")


@dataclass(frozen=True)
class Platform:
    """Whoever runs the gateway."""

    stack: LocalStack

    @property
    def url(self) -> str:
        """Where REST clients connect."""
        return self.stack.url

    @property
    def grpc_target(self) -> str:
        """Where gRPC clients connect."""
        return self.stack.grpc

    @property
    def stripe_webhook_secret(self) -> str:
        """What the platform's Stripe events are signed with."""
        return self.stack.site.credentials.stripe_webhook_secret

    def new_shop(self) -> Shop:
        """Makes a merchant in test mode with a key, as an operator would."""
        shop = {"name": "Shop", "test_mode": True, "country": "US", "time_zone": zone_at_noon()}
        merchant = self._administer("/v1/merchants", shop)
        key = self._administer(f"/v1/merchants/{merchant['id']}/api_keys", {"name": "test"})
        return Shop(self.url, self.stack.sandbox_url, merchant["id"], key["secret"])

    def stripe_account(self, shop: Shop) -> OwnAccount:
        """Gives a shop a Stripe account of its own."""
        token = uuid4().hex
        keys = {"secret_key": f"sk_test_{token}", "webhook_secret": f"whsec_{token}"}
        ours = self._administer(f"/v1/merchants/{shop.merchant_id}/processor_accounts", {"stripe": keys})
        account = {"processor": "stripe", "api_key": keys["secret_key"]}
        response = requests.post(f"{self.stack.sandbox_url}/sandbox/accounts", json=account, timeout=TIMEOUT_S)
        assert response.ok, response.text
        return OwnAccount(ours["id"], response.json()["id"], **keys)

    def paypal_account(self, shop: Shop, webhook_url: str) -> str:
        """Gives a shop a PayPal account of its own, which sends its webhooks to `webhook_url`; returns Kassa's id."""
        token = uuid4().hex
        keys = {"client_id": f"client-{token}", "client_secret": f"secret-{token}", "webhook_id": f"WH-{token}"}
        ours = self._administer(f"/v1/merchants/{shop.merchant_id}/processor_accounts", {"paypal": keys})
        account = {"processor": "paypal", "webhook_url": webhook_url, **keys}
        response = requests.post(f"{self.stack.sandbox_url}/sandbox/accounts", json=account, timeout=TIMEOUT_S)
        assert response.ok, response.text
        return str(ours["id"])

    def _administer(self, path: str, body: Json) -> Json:
        headers = {"authorization": f"Bearer {self.stack.demo.platform_key}"}
        response = requests.post(self.url + path, json=body, headers=headers, timeout=TIMEOUT_S)
        assert response.status_code == 201, response.text
        made: Json = response.json()
        return made

    def ask(self, method: str, path: str, body: Json | None = None) -> requests.Response:
        """Calls with the platform's key."""
        headers = {"authorization": f"Bearer {self.stack.demo.platform_key}"}
        return requests.request(method, self.url + path, json=body, headers=headers, timeout=TIMEOUT_S)

    def administer(self, method: str, path: str, body: Json | None = None) -> Json:
        """Calls with the platform's key, which must be let."""
        response = self.ask(method, path, body)
        assert response.ok, response.text
        answer: Json = response.json()
        return answer

    def fault(self, **rule: Any) -> None:
        """Makes the sandbox misbehave from now on."""
        response = requests.post(f"{self.stack.sandbox_url}/sandbox/faults", json=rule, timeout=TIMEOUT_S)
        assert response.ok, response.text

    def heal(self) -> None:
        """Makes the sandbox behave again."""
        requests.delete(f"{self.stack.sandbox_url}/sandbox/faults", timeout=TIMEOUT_S).raise_for_status()

    def pid(self, part: str) -> int:
        """Returns the process of a part."""
        return self.stack.child(part).pid

    def kill(self, part: str) -> None:
        """Ends a part as a crash would."""
        self.stack.kill(part)

    def crash_postgres(self) -> None:
        """Kills Postgres with everything that it holds in memory, and starts it again on the same files."""
        self.stack.postgres.child.kill()
        self.stack.postgres.start()

    @contextmanager
    def frozen_postgres(self) -> Iterator[None]:
        """Postgres stands still, with all of its sessions: it takes what it is sent, and answers nothing."""
        postgres = psutil.Process(self.stack.postgres.child.pid)
        stopped = [postgres, *postgres.children(recursive=True)]
        for process in stopped:
            process.suspend()
        try:
            yield
        finally:
            for process in stopped:
                process.resume()

    def healthy_servers(self) -> int:
        """How many servers Envoy sends calls to."""
        clusters = f"http://127.0.0.1:{self.stack.site.ports['envoy-admin']}/clusters"
        return requests.get(clusters, timeout=TIMEOUT_S).text.count("health_flags::healthy")

    def terminate(self, part: str) -> None:
        """Asks a part to stop."""
        os.kill(self.stack.child(part).pid, signal.SIGTERM)

    def log(self, part: str) -> str:
        """What a part has said so far."""
        return self.stack.child(part).log.read_text()

    def rules_in_force(self) -> set[str]:
        """The hashes of the rulesets that the servers decide by: one, unless they are about to change."""
        found = set()
        for part in ("server-1", "server-2"):
            told = requests.get(
                f"http://127.0.0.1:{self.stack.site.ports[metrics_port(part)]}/metrics", timeout=TIMEOUT_S
            )
            found |= set(re.findall(r'kassa_ruleset_info{hash="(\w+)",role="LIVE"}', told.text))
        return found

    def exit_status(self, part: str) -> int | None:
        """How a part ended; None while it runs."""
        return self.stack.child(part).exit_status

    def revive(self) -> None:
        """Starts again what has ended."""
        for part in ("server-1", "server-2", "worker"):
            if self.exit_status(part) is not None:
                self.stack.restart(part)
        # Envoy sends calls to a server only once its own health check has found it.
        wait_until(self.healthy_servers, lambda count: count == 2)

    def execute(self, sql: str, *values: object) -> None:
        """Changes the database as its owner, past everything that Kassa guards."""
        with closing(self._connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(sql, values)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Reads the database as its owner."""
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def _connect(self) -> Any:
        url = self.stack.site.databases["kassa_owner"].replace("postgresql+psycopg2://", "postgresql://")
        return psycopg2.connect(url)


def merchant_uuid(shop: Shop) -> str:
    """The shop's id as the database holds it."""
    return str(parse_id(Prefix.MERCHANT, shop.merchant_id, "merchant_id"))


def payment_uuid(payment_id: str) -> UUID:
    """A payment's id as the database holds it."""
    return parse_id(Prefix.PAYMENT, payment_id, "payment_id")
