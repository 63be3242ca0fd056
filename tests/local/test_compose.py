"""docker-compose.yml and Dockerfile agree with the code that they start; no container engine is needed for that."""

import re
import shlex
import typing
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic_settings import BaseSettings

from sandbox.serve import main as serve_sandbox
from server.cli import app
from server.settings import PREFIX, MigrationSettings, Settings, load

REPOSITORY = Path(__file__).parents[2]
SECRETS = {
    "POSTGRES_PASSWORD": "owner",
    "KASSA_WRITER_PASSWORD": "writer",
    "KASSA_READER_PASSWORD": "reader",
    "KASSA_SECRET_KEY": "s" * 64,
    "KASSA_ENCRYPTION_KEY": "A" * 43 + "=",
}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::?(?P<kind>[-?])(?P<default>[^}]*))?\}")


def compose(environment: dict[str, str]) -> dict[str, Any]:
    """Reads the file as `docker compose config` would with these variables: interpolated, `<<` merged."""
    text = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")

    def value(match: re.Match[str]) -> str:
        name, kind, default = match["name"], match["kind"], match["default"] or ""
        if name in environment:
            return environment[name]
        if kind == "?":
            raise KeyError(name)
        return default

    content = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    parsed: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value, content).replace("$$", "$"))
    return parsed


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = compose(SECRETS)["services"]
    return found


def variables(kind: type[BaseSettings]) -> set[str]:
    return {f"{PREFIX}{name.upper()}" for name in kind.model_fields}


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_must_be_given(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        compose({key: value for key, value in SECRETS.items() if key != name})


@pytest.mark.parametrize(
    ("service", "kind"), [("server", Settings), ("worker", Settings), ("migrate", MigrationSettings)]
)
def test_a_service_gets_the_settings_that_it_reads(
    services: dict[str, Any], service: str, kind: type[BaseSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment: dict[str, str] = services[service]["environment"]
    assert set(environment) <= variables(Settings) | variables(MigrationSettings)
    anchor = tmp_path / "ca.pem"
    anchor.touch()
    for name, value in (environment | {"KASSA_PAYPAL_TRUST_ANCHOR": str(anchor)}).items():
        monkeypatch.setenv(name, str(value))
    load(kind)


def test_only_the_migration_knows_the_owner_of_the_tables(services: dict[str, Any]) -> None:
    knowing = [name for name, service in services.items() if "owner" in str(service.get("environment", {}))]
    assert knowing == ["postgres", "migrate"]


def test_against_the_real_processors_nothing_of_the_sandbox_is_left() -> None:
    empty = {
        name: ""
        for name in (
            "KASSA_STRIPE_API_BASE",
            "KASSA_PAYPAL_API_BASE",
            "KASSA_PAYPAL_TRUST_ANCHOR",
            "KASSA_PAYPAL_CERTIFICATE_HOSTS",
        )
    }
    keys = {
        "KASSA_STRIPE_SECRET_KEY": "k",
        "KASSA_STRIPE_WEBHOOK_SECRET": "k",
        "KASSA_PAYPAL_CLIENT_ID": "k",
        "KASSA_PAYPAL_CLIENT_SECRET": "k",
        "KASSA_PAYPAL_WEBHOOK_ID": "k",
    }
    server = compose(SECRETS | empty | keys)["services"]["server"]
    assert "sandbox" not in str(server["environment"])


@pytest.mark.parametrize("service", ["server", "worker", "migrate"])
def test_a_service_runs_a_command_that_exists(services: dict[str, Any], service: str) -> None:
    commands = typing.cast(Any, typer.main.get_command(app)).commands
    assert services[service]["command"][0] in commands


def test_the_sandbox_is_started_with_options_that_it_has(services: dict[str, Any]) -> None:
    sandbox = typer.Typer()
    sandbox.command()(serve_sandbox)
    command = typer.main.get_command(sandbox)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {argument.partition("=")[0] for argument in services["sandbox"]["command"]} <= known


def test_what_a_service_depends_on_and_mounts_exists(services: dict[str, Any]) -> None:
    volumes = compose(SECRETS)["volumes"]
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            assert condition["condition"] in {"service_healthy", "service_completed_successfully"}
            assert services[name].get("healthcheck", {}).get("disable", False) == (name == "migrate")
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (REPOSITORY / source).exists() if source.startswith(".") else source in volumes


def test_envoy_finds_the_files_and_the_servers_that_its_configuration_names(services: dict[str, Any]) -> None:
    config = (REPOSITORY / "envoy.yaml").read_text(encoding="utf-8")
    targets = [mount.split(":")[1] for mount in services["envoy"]["volumes"]]
    assert "/etc/envoy/kassa.binpb" in targets
    assert all(target in config for target in targets if target.endswith(".binpb"))
    assert "address: server, port_value: 50051" in config


def test_the_image_copies_what_is_there_and_what_docker_may_see() -> None:
    allowed = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in shlex.split(line)[1:-1]:
                assert (REPOSITORY / source).exists()
                assert source in allowed
