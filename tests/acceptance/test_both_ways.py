"""Every RPC of the contract, walked from its descriptors: REST through Envoy and gRPC say the same of the same call."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import grpc
import pytest
import requests
from google.api import annotations_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2
from kassa.v1 import (
    attention_service_pb2,
    dispute_service_pb2,
    fraud_service_pb2,
    ledger_service_pb2,
    merchant_service_pb2,
    payment_service_pb2,
    webhook_service_pb2,
)

from server.domain.ids import Prefix, new_id, render_id
from tests.acceptance.shop import TIMEOUT_S, Shop
from tests.acceptance.stacks import Platform

FILES = (
    payment_service_pb2,
    merchant_service_pb2,
    attention_service_pb2,
    dispute_service_pb2,
    fraud_service_pb2,
    ledger_service_pb2,
    webhook_service_pb2,
)
IDS = {
    "payment_id": Prefix.PAYMENT,
    "dispute_id": Prefix.DISPUTE,
    "merchant_id": Prefix.MERCHANT,
    "api_key_id": Prefix.API_KEY,
    "processor_account_id": Prefix.PROCESSOR_ACCOUNT,
    "account_id": Prefix.PROCESSOR_ACCOUNT,
    "attention_id": Prefix.ATTENTION,
    "list_entry_id": Prefix.LIST_ENTRY,
    "snooze_id": Prefix.SNOOZE,
}
VERBS = ("get", "post", "patch", "put", "delete")


def bindings() -> Iterator[tuple[MethodDescriptor, str, str]]:
    """Each method with each of its HTTP verbs and path templates."""
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                rule = method.GetOptions().Extensions[annotations_pb2.http]
                for one in (rule, *rule.additional_bindings):
                    verb = next(verb for verb in VERBS if getattr(one, verb))
                    yield method, verb.upper(), getattr(one, verb)


WALK = list(bindings())


def test_the_walk_misses_no_method() -> None:
    methods = [method for file in FILES for s in file.DESCRIPTOR.services_by_name.values() for method in s.methods]
    assert {method.full_name for method, _, _ in WALK} == {method.full_name for method in methods}


@pytest.mark.parametrize("caller", ["nobody", "merchant", "platform"])
@pytest.mark.parametrize(("method", "verb", "template"), WALK, ids=[f"{verb} {path}" for _, verb, path in WALK])
def test_rest_and_grpc_say_the_same(
    platform: Platform, shop: Shop, method: MethodDescriptor, verb: str, template: str, caller: str
) -> None:
    """With ids that nobody has and no fields: whoever may not call is told so, else what is missing is named."""
    keys = {"nobody": "", "merchant": shop.api_key, "platform": platform.stack.demo.platform_key}
    named = {name: render_id(IDS[name], new_id()) for name in re.findall(r"{(\w+)}", template)}
    over_rest = rest(platform, verb, template.format(**named), keys[caller])
    assert over_rest == native(platform, method, named, keys[caller])
    assert over_rest != "UNKNOWN_URL"
    if caller == "nobody":
        assert over_rest in {"AUTHENTICATION_REQUIRED", "WEBHOOK_SIGNATURE_INVALID", "PROCESSOR_ACCOUNT_NOT_FOUND"}


def rest(platform: Platform, verb: str, path: str, key: str) -> str:
    """Returns the error's code, or OK."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if verb != "GET":
        headers["idempotency-key"] = str(uuid4())
    body = {} if verb in {"POST", "PATCH"} else None
    response = requests.request(verb, platform.url + path, json=body, headers=headers, timeout=TIMEOUT_S)
    return "OK" if response.ok else str(response.json()["error"]["code"])


def native(platform: Platform, method: MethodDescriptor, fields: dict[str, str], key: str) -> str:
    """Returns the error's reason, or OK."""
    request = message_factory.GetMessageClass(method.input_type)(**fields)
    metadata = [("idempotency-key", str(uuid4()))] + ([("authorization", f"Bearer {key}")] if key else [])
    with grpc.insecure_channel(platform.grpc_target) as channel:
        answer: Any = message_factory.GetMessageClass(method.output_type)
        path = f"/{method.containing_service.full_name}/{method.name}"
        call = channel.unary_unary(path, type(request).SerializeToString, answer.FromString)
        try:
            call(request, metadata=metadata, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            return reason(error)
    return "OK"


def reason(error: Any) -> str:
    details = {item.key: item.value for item in error.trailing_metadata()}["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    assert any(one.Unpack(info) for one in status_pb2.Status.FromString(details).details if one.Is(info.DESCRIPTOR))
    return str(info.reason)
