"""The certificates that PayPal signs its webhooks with: fetched from known hosts alone, verified, kept.

`adapter` asks for the key of a certificate; https://developer.paypal.com/api/rest/webhooks/rest/
"""

import ssl
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from server.clock import utc_now
from server.processors.contract import EventRejected, ProcessorUnavailable
from server.processors.paypal.endpoint import PayPalEndpoint

LIVE_HOSTS = frozenset({"api.paypal.com", "api-m.paypal.com"})
TEST_HOSTS = frozenset({"api.sandbox.paypal.com", "api-m.sandbox.paypal.com"})
PATH = "/v1/notifications/certs/"
_LARGEST_BYTES = 64 * 1024
_KEPT = 32
_KEPT_FOR = timedelta(hours=24)
_TIMEOUT_S = (5.0, 5.0)


@dataclass(frozen=True, slots=True)
class _Source:
    """Whom an account believes. A CA that issues nothing else may give its certificates any name (`suffix` empty)."""

    hosts: frozenset[str]
    schemes: frozenset[str]
    anchors: Store
    suffix: str


@dataclass(frozen=True, slots=True)
class _Kept:
    key: RSAPublicKey
    until: datetime


class Certificates:
    """Verified keys by address; safe for threads."""

    def __init__(self, endpoint: PayPalEndpoint) -> None:
        public = Store(_public_anchors())
        https, own = frozenset({"https"}), endpoint.trust_anchor_pem
        self._live = _Source(LIVE_HOSTS, https, public, ".paypal.com")
        self._test = _Source(
            endpoint.certificate_hosts or TEST_HOSTS,
            https | {"http"} if endpoint.allow_http_certificates else https,
            public if own is None else Store(x509.load_pem_x509_certificates(own)),
            ".paypal.com" if own is None else "",
        )
        self._kept: OrderedDict[tuple[bool, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def kept(self, address: str, *, test_mode: bool) -> RSAPublicKey | None:
        """Returns the key at an address if it was verified lately; does not block."""
        kept = self._kept.get((test_mode, address))
        return kept.key if kept is not None and utc_now() < kept.until else None

    def fetch(self, address: str, *, test_mode: bool) -> RSAPublicKey:
        """Fetches and verifies the certificate at an address, keeps its key and returns it.

        Raises:
            EventRejected: The address or the certificate is not PayPal's.
            ProcessorUnavailable: It could not be fetched; PayPal will send again.
        """
        source = self._test if test_mode else self._live
        _check_address(address, source)
        fresh = _verify(_fetch(address), source)
        with self._lock:
            self._kept[test_mode, address] = fresh
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return fresh.key


def _check_address(address: str, source: _Source) -> None:
    try:
        parts = urlsplit(address)
        fine = (
            parts.scheme in source.schemes
            and parts.netloc in source.hosts
            and parts.path.startswith(PATH)
            and ".." not in parts.path
            and not parts.query
            and not parts.fragment
        )
    except ValueError:
        fine = False
    if not fine:
        raise EventRejected("The certificate's address is not PayPal's.")


def _fetch(address: str) -> bytes:
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.get(address, timeout=_TIMEOUT_S, allow_redirects=False, stream=True) as answer:
                if answer.status_code == 404:
                    raise EventRejected("There is no certificate at the address.")
                if answer.status_code != 200:
                    raise ProcessorUnavailable(f"paypal's certificate: HTTP {answer.status_code}")
                return answer.raw.read(_LARGEST_BYTES, decode_content=True)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise ProcessorUnavailable(f"paypal's certificate: {type(error).__name__}") from None


def _verify(pem: bytes, source: _Source) -> _Kept:
    """Builds the chain from a PEM of the certificate and its intermediates."""
    now = utc_now()
    try:
        leaf, *intermediates = x509.load_pem_x509_certificates(pem)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        name = next(name for name in names.get_values_for_type(x509.DNSName) if name.endswith(source.suffix))
        verifier = PolicyBuilder().store(source.anchors).time(now).build_server_verifier(x509.DNSName(name))
        verifier.verify(leaf, intermediates)
    except (ValueError, StopIteration, x509.ExtensionNotFound, VerificationError):
        raise EventRejected("The certificate is not PayPal's.") from None
    key = leaf.public_key()
    if not isinstance(key, RSAPublicKey):
        raise EventRejected("The certificate's key is not RSA.")
    return _Kept(key, min(leaf.not_valid_after_utc, now + _KEPT_FOR))


def _public_anchors() -> list[x509.Certificate]:
    """The public roots, without those whose serial number is not positive: `cryptography` will refuse to read these."""
    context = ssl.create_default_context(cafile=certifi.where())
    described = zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=True)
    return [x509.load_der_x509_certificate(der) for known, der in described if int(str(known["serialNumber"]), 16) > 0]
