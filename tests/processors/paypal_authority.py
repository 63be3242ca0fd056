"""A certificate authority that signs webhooks as PayPal does, and serves its certificates on the loopback."""

import base64
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PublicKey = RSAPublicKey | EllipticCurvePublicKey
PATH = "/v1/notifications/certs/"
_DAY = timedelta(days=1)


@cache
def _signing_key() -> RSAPrivateKey:
    """One for all certificates, since making it takes long."""
    return generate_private_key(65537, 2048)


def _certificate(
    name: str, key: PublicKey, issuer: x509.Certificate | None, issuer_key: EllipticCurvePrivateKey, ends_in: timedelta
) -> x509.Certificate:
    """A CA where there is no issuer, else a server certificate."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    is_ca = issuer is None
    usage = x509.KeyUsage(not is_ca, False, False, False, False, is_ca, is_ca, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * _DAY)
        .not_valid_after(now + ends_in)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, SHA256())


@dataclass
class Authority:
    """Certificates by the last part of their address; `fetched` counts how often one was asked for."""

    host: str
    name: str = "messageverificationcerts.sandbox.test"
    pems: dict[str, bytes] = field(default_factory=dict)
    fetched: int = 0
    keys: dict[str, RSAPrivateKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._key = generate_ec_key(SECP256R1())
        self._root = _certificate("Test Root", self._key.public_key(), None, self._key, 3650 * _DAY)
        self.issue("good")

    @property
    def anchor(self) -> bytes:
        """The root as PEM."""
        return self._root.public_bytes(Encoding.PEM)

    def issue(self, name: str, *, ends_in: timedelta = 90 * _DAY) -> None:
        """Makes a certificate that signs."""
        key = _signing_key()
        leaf = _certificate(self.name, key.public_key(), self._root, self._key, ends_in)
        self.pems[name], self.keys[name] = leaf.public_bytes(Encoding.PEM), key

    def headers(self, webhook_id: str, body: bytes, sent_at: datetime, certificate: str = "good") -> dict[str, str]:
        """What PayPal sends along with a body."""
        moment = sent_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        message = f"69cd13f0-d67a|{moment}|{webhook_id}|{zlib.crc32(body)}".encode()
        signature = self.keys[certificate].sign(message, PKCS1v15(), SHA256())
        return {
            "paypal-transmission-id": "69cd13f0-d67a",
            "paypal-transmission-time": moment,
            "paypal-transmission-sig": base64.b64encode(signature).decode(),
            "paypal-cert-url": f"http://{self.host}{PATH}{certificate}",
            "paypal-auth-algo": "SHA256withRSA",
        }


@contextmanager
def serving() -> Iterator[Authority]:
    """Serves an authority's certificates until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authority.fetched += 1
            pem = authority.pems.get(self.path.removeprefix(PATH))
            self.send_response(200 if pem else 404)
            self.end_headers()
            self.wfile.write(pem or b"")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        authority = Authority(f"127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield authority
        finally:
            server.shutdown()
            thread.join()
