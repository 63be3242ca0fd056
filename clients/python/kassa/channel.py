"""Where a client connects and how; called by both clients."""

from ipaddress import ip_address

import grpc

_OPTIONS = (
    ("grpc.primary_user_agent", "kassa-python"),
    ("grpc.keepalive_time_ms", 60_000),
)


def use_tls(target: str, tls: bool | None) -> bool:
    """Decides for TLS unless it is refused, or the gateway is on this machine: a key must not travel in plain."""
    return not _on_this_machine(target) if tls is None else tls


def open_channel(target: str, tls: bool | None) -> grpc.Channel:
    """Opens a channel of threads."""
    if use_tls(target, tls):
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(), _OPTIONS)
    return grpc.insecure_channel(target, _OPTIONS)


def open_async_channel(target: str, tls: bool | None) -> grpc.aio.Channel:
    """Opens a channel of the running event loop."""
    if use_tls(target, tls):
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), _OPTIONS)
    return grpc.aio.insecure_channel(target, _OPTIONS)


def _on_this_machine(target: str) -> bool:
    host = target.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # another name
        return False
