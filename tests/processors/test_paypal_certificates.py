"""Whose certificates are believed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography import x509
from requests import Session

from server.processors.contract import Account, EventRejected, ProcessorUnavailable
from server.processors.paypal import PayPalEndpoint, PayPalProcessor
from server.processors.paypal.certificates import LIVE_HOSTS, TEST_HOSTS, Certificates
from tests.processors.opened import opened
from tests.processors.paypal_authority import PATH, Authority, serving

BODY = (
    b'{"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "create_time": "2026-02-14T21:50:07Z",'
    b' "resource": {"id": "C1"}}'
)


@pytest.fixture
def own() -> Iterator[Authority]:
    """An authority for this test alone."""
    with serving() as found:
        yield found


def endpoint(authority: Authority) -> PayPalEndpoint:
    return PayPalEndpoint(
        certificate_hosts=frozenset({authority.host}),
        trust_anchor_pem=authority.anchor,
        allow_http_certificates=True,
    )


def account(*, test_mode: bool = True) -> Account:
    credentials = {"client_id": "c", "client_secret": "s", "webhook_id": "WH"}
    return Account(uuid4(), None, "paypal", test_mode, credentials)


async def test_a_certificate_is_fetched_once(own: Authority) -> None:
    async with opened(PayPalProcessor(endpoint(own))) as paypal:
        for _ in range(3):
            event = await paypal.parse_event(account(), own.headers("WH", BODY, datetime.now(UTC)), BODY)
            assert event.processor_object_id == "C1"
    assert own.fetched == 1


async def test_a_live_account_believes_paypals_hosts_alone(own: Authority) -> None:
    async with opened(PayPalProcessor(endpoint(own))) as paypal:
        headers = own.headers("WH", BODY, datetime.now(UTC))
        await paypal.parse_event(account(), headers, BODY)
        with pytest.raises(EventRejected):
            await paypal.parse_event(account(test_mode=False), headers, BODY)
    assert own.fetched == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://{host}/elsewhere/good",
        "http://{host}" + PATH + "../good",
        "http://{host}" + PATH + "good?x=1",
        "http://user@{host}" + PATH + "good",
        "http://{host}.evil.example" + PATH + "good",
        "https://api.paypal.com" + PATH + "good",
        "file:///etc/passwd",
        "http://[" + PATH,
        "",
    ],
)
async def test_other_addresses_are_never_fetched(own: Authority, address: str) -> None:
    async with opened(PayPalProcessor(endpoint(own))) as paypal:
        headers = own.headers("WH", BODY, datetime.now(UTC))
        headers["paypal-cert-url"] = address.format(host=own.host)
        with pytest.raises(EventRejected):
            await paypal.parse_event(account(), headers, BODY)
    assert own.fetched == 0


async def test_plain_http_needs_permission(own: Authority) -> None:
    async with opened(PayPalProcessor(replace(endpoint(own), allow_http_certificates=False))) as paypal:
        with pytest.raises(EventRejected):
            await paypal.parse_event(account(), own.headers("WH", BODY, datetime.now(UTC)), BODY)
    assert own.fetched == 0


async def test_certificates_of_others_are_not_believed(own: Authority, authority: Authority) -> None:
    own.issue("expired", ends_in=timedelta(seconds=-1))
    own.pems["self-made"], own.keys["self-made"] = authority.pems["good"], authority.keys["good"]
    own.pems["junk"], own.keys["junk"] = b"junk", authority.keys["good"]
    own.pems["anchor"], own.keys["anchor"] = own.anchor, authority.keys["good"]
    own.keys["missing"] = authority.keys["good"]
    async with opened(PayPalProcessor(endpoint(own))) as paypal:
        for name in ("expired", "self-made", "junk", "anchor", "missing"):
            headers = own.headers("WH", BODY, datetime.now(UTC), name)
            with pytest.raises(EventRejected):
                await paypal.parse_event(account(), headers, BODY)


async def test_without_an_authority_of_our_own_the_public_ones_decide(own: Authority) -> None:
    async with opened(PayPalProcessor(replace(endpoint(own), trust_anchor_pem=None))) as paypal:
        with pytest.raises(EventRejected):
            await paypal.parse_event(account(), own.headers("WH", BODY, datetime.now(UTC)), BODY)
    assert own.fetched == 1


async def test_a_certificate_that_cannot_be_fetched_says_nothing_of_the_event(own: Authority) -> None:
    headers = own.headers("WH", BODY, datetime.now(UTC))
    reached = endpoint(own)
    closed = replace(reached, certificate_hosts=frozenset({"127.0.0.1:9"}))
    headers["paypal-cert-url"] = f"http://127.0.0.1:9{PATH}good"
    async with opened(PayPalProcessor(closed)) as paypal:
        with pytest.raises(ProcessorUnavailable):
            await paypal.parse_event(account(), headers, BODY)


def test_only_so_many_are_kept(own: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        own.pems[f"C{number}"] = own.pems["good"]
    monkeypatch.setattr("server.processors.paypal.certificates._KEPT", 2)
    certificates = Certificates(endpoint(own))
    addresses = [f"http://{own.host}{PATH}C{number}" for number in range(4)]
    for address in addresses:
        certificates.fetch(address, test_mode=True)
    kept = [certificates.kept(address, test_mode=True) is not None for address in addresses]
    assert kept == [False, False, True, True]
    assert certificates.kept(addresses[3], test_mode=False) is None


@pytest.mark.parametrize(("test_mode", "hosts"), [(True, TEST_HOSTS), (False, LIVE_HOSTS)])
def test_by_default_paypals_own_hosts_are_asked_by_https(
    test_mode: bool, hosts: frozenset[str], own: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def get(_: Session, address: str, **_kwargs: object) -> None:
        asked.append(address)
        raise EventRejected("far enough")

    monkeypatch.setattr(Session, "get", get)
    certificates = Certificates(PayPalEndpoint())
    addresses = [f"{scheme}://{host}{PATH}C" for host in sorted(hosts) for scheme in ("http", "https")]
    for address in addresses:
        with pytest.raises(EventRejected):
            certificates.fetch(address, test_mode=test_mode)
    assert asked == [address for address in addresses if address.startswith("https")]


def test_the_tests_own_authority_is_as_strict_as_the_web_demands(own: Authority) -> None:
    """Else the refusals above would prove nothing."""
    (leaf,) = x509.load_pem_x509_certificates(own.pems["good"])
    assert leaf.issuer != leaf.subject
    assert Certificates(endpoint(own)).fetch(f"http://{own.host}{PATH}good", test_mode=True).key_size == 2048
