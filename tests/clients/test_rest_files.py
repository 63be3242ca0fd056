"""The REST walk-throughs speak the contract: every request names an address of it, every body is a message of it."""

import re
import subprocess
from pathlib import Path

import pytest
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from kassa.v1 import dispute_service_pb2, fraud_service_pb2, ledger_service_pb2, payment_service_pb2

REST = Path(__file__).resolve().parents[2] / "clients/rest"
PAYMENTS = payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"]
DISPUTES = dispute_service_pb2.DESCRIPTOR.services_by_name["DisputeService"]
FRAUD = fraud_service_pb2.DESCRIPTOR.services_by_name["FraudService"]
LEDGER = ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"]
VARIABLE = re.compile(r"\{\{[^}]*\}\}|\$\(id\)|\$PAYMENT")


def request_type(verb: str, path: str) -> type[Message]:
    """Finds the method at an address, or raises StopIteration."""
    path = VARIABLE.sub("x", path).partition("?")[0]
    for method in (*PAYMENTS.methods, *DISPUTES.methods, *FRAUD.methods, *LEDGER.methods):
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for binding in (rule, *rule.additional_bindings):
            pattern = re.sub(r"{\w+}", "[^/]+", getattr(binding, binding.WhichOneof("pattern")))
            if binding.WhichOneof("pattern").upper() == verb and re.fullmatch(pattern, path):
                return GetMessageClass(method.input_type)
    raise AssertionError(f"{verb} {path} is no address of the contract")


def check(verb: str, path: str, body: str) -> None:
    message = request_type(verb, path)()
    if body:
        json_format.Parse(body, message)


@pytest.mark.parametrize(
    ("file", "service"),
    [("payments.http", PAYMENTS), ("disputes.http", DISPUTES), ("fraud.http", FRAUD), ("ledger.http", LEDGER)],
)
def test_http_file(file: str, service: ServiceDescriptor) -> None:
    text = (REST / file).read_text()
    requests = re.findall(r"^(GET|POST) \{\{url\}\}(\S+)\n((?:.+\n)*)(?:\n(\{\n?(?:.+\n)*))?", text, flags=re.MULTILINE)
    assert len(requests) == len(re.findall(r"^### ", text, flags=re.MULTILINE)) > len(service.methods)
    for verb, path, headers, body in requests:
        if path != "/healthz":
            check(verb, path, body)
            assert "authorization: Bearer" in headers
            assert ("idempotency-key: " in headers) == (verb == "POST")
    assert {request_type(verb, path) for verb, path, _, _ in requests if path != "/healthz"} == {
        GetMessageClass(method.input_type) for method in service.methods
    }


def test_shell_script() -> None:
    script = REST / "payments.sh"
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    text = script.read_text()
    variables = dict(re.findall(r"^([A-Z]+)='(.*)'$", text, flags=re.MULTILINE))
    calls = re.findall(r"""^call (GET|POST) "?([^\s"]+)"?(?: (["'])(\{.*?\})\3)?""", text, flags=re.MULTILINE)
    assert len(calls) == len(re.findall(r"^call ", text, flags=re.MULTILINE)) > 10
    for verb, path, _, body in calls:
        check(verb, path, re.sub(r"\$([A-Z]+)", lambda match: variables[match[1]], body.replace('\\"', '"')))
