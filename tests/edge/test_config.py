"""The configuration is one that Envoy accepts, and the local stack runs it with few and known differences."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from sandbox.local.envoy import REPOSITORY, envoy_command, render_envoy_config

SERVERS = [("127.0.0.1", 50001), ("127.0.0.1", 50002)]


def rendered(tmp_path: Path, **others: Any) -> str:
    return render_envoy_config(
        port=18080, admin_port=19901, servers=SERVERS, access_log=tmp_path / "access.log", **others
    )


def test_envoy_accepts_it(tmp_path: Path) -> None:
    config = tmp_path / "envoy.yaml"
    config.write_text(rendered(tmp_path))
    checked = subprocess.run(
        [*envoy_command(config), "--mode", "validate"], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stderr[-2000:]
    assert checked.stderr == "", "a deprecated or unknown setting"


def test_local_stack_changes_only_addresses_and_paths(tmp_path: Path) -> None:
    original = yaml.safe_load((REPOSITORY / "envoy.yaml").read_text())
    assert {
        place: (before, after) for place, before, after in differences(original, yaml.safe_load(rendered(tmp_path)))
    } == {
        "admin.address.socket_address.port_value": (9901, 19901),
        f"{LISTENER}.address.socket_address.address": ("0.0.0.0", "127.0.0.1"),
        f"{LISTENER}.address.socket_address.port_value": (8080, 18080),
        f"{MANAGER}.access_log.0.typed_config.path": ("/dev/stdout", str(tmp_path / "access.log")),
        f"{MANAGER}.http_filters.8.typed_config.proto_descriptor": (
            "/etc/envoy/kassa.binpb",
            str(REPOSITORY / "protos/kassa.binpb"),
        ),
        f"{CLUSTER}.load_assignment.endpoints.0.lb_endpoints": (
            [{"endpoint": {"address": {"socket_address": {"address": "server", "port_value": 50051}}}}],
            [
                {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
                for host, port in SERVERS
            ],
        ),
    }


def test_rates_can_be_set(tmp_path: Path) -> None:
    config = yaml.safe_load(rendered(tmp_path, requests_per_key=7, requests_per_address=9))
    assert [descriptor["token_bucket"]["max_tokens"] for descriptor in rate_limits(config)] == [7, 9]
    assert [descriptor["token_bucket"]["tokens_per_fill"] for descriptor in rate_limits(config)] == [7, 9]


def test_a_key_may_send_500_requests_a_second() -> None:
    config = yaml.safe_load((REPOSITORY / "envoy.yaml").read_text())
    per_key, _ = rate_limits(config)
    assert per_key["token_bucket"] == {"max_tokens": 500, "tokens_per_fill": 500, "fill_interval": "1s"}


def test_every_service_is_transcoded() -> None:
    config = yaml.safe_load((REPOSITORY / "envoy.yaml").read_text())
    contract = descriptor_pb2.FileDescriptorSet.FromString((REPOSITORY / "protos/kassa.binpb").read_bytes())
    bound = {
        f"{file.package}.{service.name}"
        for file in contract.file
        for service in file.service
        if any(method.options.HasExtension(annotations_pb2.http) for method in service.method)
    }
    assert set(http_filter(config, "grpc_json_transcoder")["services"]) == bound


def test_admin_interface_is_on_the_loopback_address() -> None:
    config = yaml.safe_load((REPOSITORY / "envoy.yaml").read_text())
    assert config["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


@pytest.mark.parametrize("name", ["webhook", "read", "idempotent_write", "write"])
def test_the_servers_deadline_ends_before_the_routes(name: str) -> None:
    config = yaml.safe_load((REPOSITORY / "envoy.yaml").read_text())
    (route,) = [route for route in routes(config) if route["name"] == name]
    (timeout,) = [
        added["header"]["value"]
        for added in route["request_headers_to_add"]
        if added["header"]["key"] == "grpc-timeout"
    ]
    assert int(timeout.removesuffix("S")) < int(route["route"]["timeout"].removesuffix("s"))


LISTENER = "static_resources.listeners.0"
MANAGER = f"{LISTENER}.filter_chains.0.filters.0.typed_config"
CLUSTER = "static_resources.clusters.0"


def manager(config: Any) -> Any:
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def routes(config: Any) -> Any:
    return manager(config)["route_config"]["virtual_hosts"][0]["routes"]


def http_filter(config: Any, name: str) -> Any:
    (found,) = [each for each in manager(config)["http_filters"] if each["name"].endswith(f".{name}")]
    return found["typed_config"]


def rate_limits(config: Any) -> Any:
    return http_filter(config, "local_ratelimit")["descriptors"]


def differences(before: Any, after: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        pairs = [(str(key), before[key], after[key]) for key in before]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(before, after, strict=True))]
    else:
        return [] if before == after else [(place, before, after)]
    return [found for key, old, new in pairs for found in differences(old, new, f"{place}.{key}".removeprefix("."))]
