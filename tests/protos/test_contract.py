"""The contract keeps its own rules, stays compatible with what was released, and its generated files are current."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool

REPOSITORY = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).parent / "buf"


@pytest.fixture
def buf_environment(tmp_path: Path) -> dict[str, str]:
    return {"BUF_CACHE_DIR": str(tmp_path / "buf"), "HOME": str(tmp_path), "PATH": ""}


def buf(environment: dict[str, str], *arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BUF, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("lint",),
        ("format", "-d", "--exit-code", "--path", "protos/kassa"),
    ],
    ids=["lint", "format"],
)
def test_contract_passes_buf(arguments: tuple[str, ...], buf_environment: dict[str, str]) -> None:
    checked = buf(buf_environment, *arguments)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def breaking_changes(repository: Path, scratch: Path, environment: dict[str, str]) -> list[str]:
    """Compares as images, since buf refuses to compare a workspace of two modules with an image of one."""
    today = str(scratch / "today.binpb")
    assert buf(environment, "build", "-o", today, cwd=repository).returncode == 0
    checked = buf(environment, "breaking", today, "--against", "protos/released.binpb", cwd=repository)
    assert checked.stderr == ""
    return checked.stdout.splitlines()


def test_contract_stays_compatible_with_the_released_one(tmp_path: Path, buf_environment: dict[str, str]) -> None:
    assert breaking_changes(REPOSITORY, tmp_path, buf_environment) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("int64 amount_captured = 7", "int64 captured_amount = 7"), ("COMPLETED = 5;", "SUCCEEDED = 5;")],
    ids=["renamed field", "renamed enum value"],
)
def test_breaking_change_is_found(old: str, new: str, tmp_path: Path, buf_environment: dict[str, str]) -> None:
    shutil.copytree(REPOSITORY / "protos", tmp_path / "protos", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "buf.yaml", tmp_path)
    contract = tmp_path / "protos/kassa/v1/payment_service.proto"
    assert old in contract.read_text()
    contract.write_text(contract.read_text().replace(old, new, 1))
    changes = breaking_changes(tmp_path, tmp_path, buf_environment)
    assert changes and all(change.startswith("kassa/v1/payment_service.proto:") for change in changes)


def test_generated_files_are_current(tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("generate", REPOSITORY / "protos/generate.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.generate(tmp_path)
    fresh = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*") if path.is_file()}
    stale = [
        str(name)
        for name, path in fresh.items()
        if not (REPOSITORY / name).exists() or (REPOSITORY / name).read_bytes() != path.read_bytes()
    ]
    assert stale == [], "run `make protos`"
    committed = {path.relative_to(REPOSITORY) for path in REPOSITORY.glob("clients/python/kassa/v1/*_pb2*.py*")}
    assert committed <= set(fresh), "a stub whose proto is gone"


def test_every_error_reason_has_an_example() -> None:
    text = (REPOSITORY / "protos/kassa/v1/error_reason.proto").read_text()
    values = re.findall(r"((?:^  //.*\n)+)  (\w+) = (\d+);", text, flags=re.MULTILINE)
    assert len(values) == len(re.findall(r"= \d+;", text)) > 30
    for comment, name, number in values:
        if number != "0":
            assert "Example: " in comment, name
            assert f'"{name}"' in comment, name


def test_every_method_is_bound_to_http_and_no_two_to_the_same_address() -> None:
    bindings = [binding for method in methods() for binding in http_bindings(method)]
    assert len(bindings) == len(set(bindings))
    assert all(http_bindings(method) for method in methods())


def test_every_list_is_paged() -> None:
    messages = {message.name: message for file in kassa_files() for message in file.message_type}
    lists = [method for method in methods() if method.name.startswith("List")]
    assert len(lists) >= 5
    for method in lists:
        request = messages[method.input_type.rpartition(".")[2]]
        response = messages[method.output_type.rpartition(".")[2]]
        assert {"page_size", "page_token"} <= {field.name for field in request.field}, method.name
        assert "next_page_token" in {field.name for field in response.field}, method.name


def test_envoy_can_render_error_details() -> None:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_set().file:
        pool.Add(file)
    for detail in ("Status", "ErrorInfo", "BadRequest", "RequestInfo", "RetryInfo"):
        assert pool.FindMessageTypeByName(f"google.rpc.{detail}")


def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString((REPOSITORY / "protos/kassa.binpb").read_bytes())


def kassa_files() -> list[descriptor_pb2.FileDescriptorProto]:
    return [file for file in descriptor_set().file if file.package == "kassa.v1"]


def methods() -> list[descriptor_pb2.MethodDescriptorProto]:
    return [method for file in kassa_files() for service in file.service for method in service.method]


def http_bindings(method: descriptor_pb2.MethodDescriptorProto) -> list[tuple[str, str]]:
    rule = method.options.Extensions[annotations_pb2.http]
    found = []
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        found.append((verb, re.sub(r"{\w+}", "{}", getattr(binding, verb))))
    return found
