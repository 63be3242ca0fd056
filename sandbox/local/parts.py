"""Command line and environment of each part of the local stack. Used by `stack.LocalStack`."""

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.local.credentials import Credentials
from sandbox.local.envoy import envoy_command, render_envoy_config
from sandbox.local.ports import LOOPBACK
from sandbox.local.readiness import accepts, grpc_serving, http_ok
from sandbox.local.supervisor import Part
from server import storage

DATABASE: Final = "kassa"
OWNER: Final = "kassa_owner"
WRITER: Final = "kassa_writer"
READER: Final = "kassa_reader"
COMMIT_PROXY: Final = "commit-proxy"
_KASSA: Final = str(Path(sys.executable).with_name("kassa"))
# Longer than a server lets calls in flight run on (`drain_grace_s`).
_SERVER_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, repr=False)
class Site:
    """Where everything of one stack is.

    Attributes:
        home: folder of its files.
        port: where clients connect.
        ports: of the parts, by name.
        databases: DSNs for SQLAlchemy, by role.
        overrides: variables for servers and worker, on top of ours.
        gateway: command that `serve` and `worker` are given to.
    """

    home: Path
    port: int
    ports: Mapping[str, int]
    credentials: Credentials
    databases: Mapping[str, str]
    overrides: Mapping[str, str]
    gateway: Sequence[str] = (_KASSA,)

    @property
    def url(self) -> str:
        """Where REST clients connect."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """The processors' stand-ins."""
        return f"http://{LOOPBACK}:{self.ports['sandbox']}"

    @property
    def trust_anchor(self) -> Path:
        """The certificate authority that the sandbox makes for PayPal's webhooks, as PEM."""
        return self.home / "sandbox" / "paypal-ca.pem"


def sandbox(site: Site, options: Sequence[str] = ()) -> Part:
    """The processors' stand-ins, with the platform's account at each; keeps its books in a file.

    Args:
        options: further flags of `sandbox.serve`.
    """
    folder = site.home / "sandbox"
    folder.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "sandbox.serve", "--port", str(site.ports["sandbox"])]
    argv += [
        "--webhook-url",
        site.url,
        "--state",
        str(folder / "books.sqlite"),
        "--paypal-ca-file",
        str(site.trust_anchor),
        *options,
    ]
    keys = site.credentials
    environment = {
        "SANDBOX_STRIPE_KEY": keys.stripe_secret_key,
        "SANDBOX_STRIPE_WEBHOOK_SECRET": keys.stripe_webhook_secret,
        "SANDBOX_PAYPAL_CLIENT_ID": keys.paypal_client_id,
        "SANDBOX_PAYPAL_CLIENT_SECRET": keys.paypal_client_secret,
        "SANDBOX_PAYPAL_WEBHOOK_ID": keys.paypal_webhook_id,
    }
    return Part("sandbox", argv, _process_environment() | environment, http_ok(f"{site.sandbox_url}/healthz"))


def commit_proxy(site: Site) -> Part:
    """What stands between the gateway and Postgres and can lose connections during COMMIT; for the simulator."""
    argv = [sys.executable, "-m", "sandbox.simulator.commit_proxy"]
    argv += ["--listen", str(site.ports[COMMIT_PROXY]), "--postgres", str(site.ports["postgres"])]
    return Part(COMMIT_PROXY, argv, _process_environment(), accepts(site.ports[COMMIT_PROXY]))


def migrate(site: Site) -> Part:
    """Brings the schema up to date, then ends; nobody else gets the owner's DSN."""
    environment = gateway_environment(site) | {"KASSA_DATABASE_OWNER_URL": site.databases[OWNER]}
    return Part("migrate", [_KASSA, "migrate"], environment)


def schema_version() -> str:
    """Returns a digest of everything that `migrate` runs, to tell whether it has anything to do."""
    folder = Path(storage.__path__[0])  # not imported further: SQLAlchemy would cost a second
    files = [folder / "roles.py", *sorted(folder.glob("migrations/**/*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def issue_platform_key(site: Site) -> Part:
    """Prints a key that administers merchants, then ends."""
    return Part("platform-key", [_KASSA, "platform-key", "issue"], gateway_environment(site))


def server(site: Site, name: str) -> Part:
    """One server process on its own address."""
    address = f"{LOOPBACK}:{site.ports[name]}"
    argv = [*site.gateway, "serve", "--listen", address]
    return Part(name, argv, _watched(site, name), grpc_serving(address), stop_seconds=_SERVER_STOP_SECONDS)


def worker(site: Site) -> Part:
    """The worker; it serves nobody but Prometheus, so nobody waits for it."""
    return Part("worker", [*site.gateway, "worker"], _watched(site, "worker"), stop_seconds=_SERVER_STOP_SECONDS)


def envoy(site: Site, servers: list[str], *, requests_per_key: int | None, requests_per_address: int | None) -> Part:
    """The edge in front of all servers; ready once a payment would succeed."""
    config = site.home / "envoy.yaml"
    text = render_envoy_config(
        port=site.port,
        admin_port=site.ports["envoy-admin"],
        servers=[(LOOPBACK, site.ports[name]) for name in servers],
        access_log=site.home / "log" / "access.log",
        requests_per_key=requests_per_key,
        requests_per_address=requests_per_address,
    )
    config.write_text(text, encoding="utf-8")
    return Part("envoy", envoy_command(config), _process_environment(), http_ok(f"{site.url}/healthz"))


def metrics_port(name: str) -> str:
    """Returns the name of the port on which a part shows its metrics."""
    return f"{name}-metrics"


def _watched(site: Site, name: str) -> dict[str, str]:
    address = f"{LOOPBACK}:{site.ports[metrics_port(name)]}"
    return {"KASSA_METRICS_LISTEN": address} | gateway_environment(site, name)


def gateway_environment(site: Site, part: str = "") -> dict[str, str]:
    """Returns the environment of servers and worker: what the shell has, ours, then the overrides.

    Args:
        part: Name of the part, which stands in the overrides wherever they say `{part}`.
    """
    keys = site.credentials
    ours = {
        "KASSA_DATABASE_URL": site.databases[WRITER],
        "KASSA_DATABASE_READER_URL": site.databases[READER],
        "KASSA_SECRET_KEY": keys.secret_key,
        "KASSA_ENCRYPTION_KEY": keys.encryption_key,
        "KASSA_PLATFORM_TEST_MODE": "true",
        # Everything stops together here, so nobody needs to be sent elsewhere first.
        "KASSA_DRAIN_PAUSE_S": "0",
        "KASSA_STRIPE_API_BASE": site.sandbox_url,
        "KASSA_STRIPE_SECRET_KEY": keys.stripe_secret_key,
        "KASSA_STRIPE_WEBHOOK_SECRET": keys.stripe_webhook_secret,
        "KASSA_PAYPAL_API_BASE": site.sandbox_url,
        "KASSA_PAYPAL_CLIENT_ID": keys.paypal_client_id,
        "KASSA_PAYPAL_CLIENT_SECRET": keys.paypal_client_secret,
        "KASSA_PAYPAL_WEBHOOK_ID": keys.paypal_webhook_id,
        "KASSA_PAYPAL_TRUST_ANCHOR": str(site.trust_anchor),
        "KASSA_PAYPAL_CERTIFICATE_HOSTS": f"{LOOPBACK}:{site.ports['sandbox']}",
    }
    overrides = {name: value.replace("{part}", part) for name, value in site.overrides.items()}
    return _process_environment() | ours | overrides


def _process_environment() -> dict[str, str]:
    """The shell's environment, but: no proxy between parts on this machine, logs written at once, bytecode kept.

    Containers like to forbid the last, which would make each of five processes compile the same modules at each start.
    """
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in ("no_proxy", "NO_PROXY"):
        environment[name] = ",".join(filter(None, [environment.get(name), LOOPBACK, "localhost"]))
    return environment | {"PYTHONUNBUFFERED": "1"}
