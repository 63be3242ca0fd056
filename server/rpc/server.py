"""The gRPC server: services, health, reflection, and an end that loses nothing. Called by `bootstrap` and `cli`."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import grpc.aio

# The classes behind `health.aio` and `reflection.aio`, by the modules that type stubs know.
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha._async import ReflectionServicer
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server
from kassa.v1 import (
    attention_service_pb2_grpc,
    dispute_service_pb2_grpc,
    fraud_service_pb2_grpc,
    ledger_service_pb2_grpc,
    merchant_service_pb2_grpc,
    payment_service_pb2_grpc,
    webhook_service_pb2_grpc,
)

from server.domain.errors import KassaError
from server.rpc.attention_service import AttentionService, AttentionUseCases
from server.rpc.dispute_service import DisputeService, DisputeUseCases
from server.rpc.fields import iso_currencies
from server.rpc.fraud_service import FraudService, FraudUseCases
from server.rpc.interceptor import PACED, Authenticates, Methods, Observe
from server.rpc.ledger_service import LedgerService
from server.rpc.merchant_service import MerchantService, MerchantUseCases
from server.rpc.pacing import Pace, paced_server
from server.rpc.payment_service import PaymentService, PaymentUseCases
from server.rpc.webhook_service import ReceivesEvents, WebhookService
from server.usecases.read_ledger import ReadLedger

SERVICES = (
    "kassa.v1.PaymentService",
    "kassa.v1.DisputeService",
    "kassa.v1.MerchantService",
    "kassa.v1.AttentionService",
    "kassa.v1.FraudService",
    "kassa.v1.LedgerService",
    "kassa.v1.WebhookService",
)
_HEALTH, _REFLECTION = "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"

_OPTIONS = (
    # Two servers on one port would share it silently, and Envoy would send everything to one of them.
    ("grpc.so_reuseport", 0),
    # Above the largest body that Envoy lets through (a webhook of 512 KiB).
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_send_message_length", 4 << 20),
    # Calls that were not taken up yet, because the event loop has not got to it or new work waits (`rpc.pacing`). Those
    # beyond are ended as CANCELLED by grpc itself, for a seventh of what refusing in Python costs; Envoy and the Python
    # client say SERVICE_UNAVAILABLE in its place.
    ("grpc.server.max_pending_requests", 30),
    ("grpc.server.max_pending_requests_hard_limit", 60),
    # Finds dead peers, and lets Envoy ping an idle connection without being sent away for it.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """Everything that the gRPC face calls."""

    authenticate: Authenticates
    payments: PaymentUseCases
    disputes: DisputeUseCases
    merchants: MerchantUseCases
    attention: AttentionUseCases
    fraud: FraudUseCases
    ledger: ReadLedger
    receive_event: ReceivesEvents


class RpcServer:
    """Serves on one address.

    Args:
        listen: `host:port`; port 0 takes a free one.
        supported_currencies: ISO 4217 codes that requests may name; none: all that there are.
        pause_s: Seconds between telling health checks that the server stops and refusing calls.
        grace_s: Seconds that calls in flight get when the server stops; more than a processor's deadline.
        drain: Waits for shielded work, after the last call has ended.
        observe: Told of each call that ends.
        refusal: As for `Methods`.
        pace: At which new work is taken up.
    """

    def __init__(  # noqa: PLR0913 - each is one fact of the server, named at the call
        self,
        use_cases: UseCases,
        *,
        listen: str,
        pace: Pace,
        supported_currencies: frozenset[str],
        pause_s: float,
        grace_s: float,
        drain: Callable[[], Awaitable[None]],
        observe: Observe | None = None,
        refusal: Callable[[], KassaError | None] = lambda: None,
    ) -> None:
        self._pause_s, self._grace_s, self._drain = pause_s, grace_s, drain
        self._server = paced_server(_OPTIONS, PACED, pace)
        methods = Methods(use_cases.authenticate, observe, refusal)
        table = cast("grpc.aio.Server", methods)  # it has all that generated code asks of one
        self._health = HealthServicer()
        supported = supported_currencies or iso_currencies()
        payments = PaymentService(use_cases.payments, supported)
        payment_service_pb2_grpc.add_PaymentServiceServicer_to_server(payments, table)
        disputes = DisputeService(use_cases.disputes)
        dispute_service_pb2_grpc.add_DisputeServiceServicer_to_server(disputes, table)
        merchants = MerchantService(use_cases.merchants, supported)
        merchant_service_pb2_grpc.add_MerchantServiceServicer_to_server(merchants, table)
        attention = AttentionService(use_cases.attention)
        attention_service_pb2_grpc.add_AttentionServiceServicer_to_server(attention, table)
        fraud_service_pb2_grpc.add_FraudServiceServicer_to_server(FraudService(use_cases.fraud), table)
        ledger = LedgerService(use_cases.ledger)
        ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(ledger, table)
        webhooks = WebhookService(use_cases.receive_event)
        webhook_service_pb2_grpc.add_WebhookServiceServicer_to_server(webhooks, table)
        add_HealthServicer_to_server(self._health, table)
        reflection = ReflectionServicer((*SERVICES, _HEALTH, _REFLECTION))
        add_ServerReflectionServicer_to_server(reflection, table)  # type: ignore[no-untyped-call]
        methods.register_on(self._server)
        self.port = self._server.add_insecure_port(listen)
        """Where it listens; known at once, also where `listen` asked for a free port."""

    async def start(self) -> None:
        """Begins to serve, and says so to health checks."""
        await self._server.start()
        await self.tell_health(True)

    async def tell_health(self, able: bool) -> None:
        """Tells health checks whether a payment would succeed here; nothing once the server has begun to stop."""
        status = HealthCheckResponse.SERVING if able else HealthCheckResponse.NOT_SERVING
        for service in ("", *SERVICES):
            await self._health.set(service, status)

    async def stop(self) -> None:
        """Ends without losing anything: no new calls, then those in flight, then what goes on behind them."""
        await self._health.enter_graceful_shutdown()
        # A call that arrives while the server closes is answered UNKNOWN, so Envoy must have gone elsewhere by then.
        await asyncio.sleep(self._pause_s)
        await self._server.stop(self._grace_s)
        # A call that was cut off left its work on money running: `stop` returns without it.
        await self._drain()

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT."""
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        await self.start()
        _log.info("serving on port %d", self.port)
        await told.wait()
        _log.info("stopping")
        await self.stop()
