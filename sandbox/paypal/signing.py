"""PayPal's webhook signatures, under certificates of the sandbox's own authority; `sandbox.webhooks` sends them.

https://developer.paypal.com/api/rest/webhooks/rest/#link-messagesignature. The chain is served over plain http from the
sandbox itself; clients have to be told to trust this host and this authority, which only test accounts may be.
"""

import base64
import secrets
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.accounts import Endpoint
from sandbox.store import Store

HOST: Final = "messageverificationcerts.sandbox.test"
"""Subject of the certificates that sign."""
_ALGORITHM: Final = "SHA256withRSA"
_KEPT_KEY: Final = "paypal.ca.key"
_KEPT_CERTIFICATE: Final = "paypal.ca.certificate"
_DAY: Final = timedelta(days=1)


class Authority:
    """The certificate authority: kept with the state, so that clients need not be told anew after a restart."""

    def __init__(self, store: Store) -> None:
        key, certificate = store.kept_bytes(_KEPT_KEY), store.kept_bytes(_KEPT_CERTIFICATE)
        if key and certificate:
            loaded = load_pem_private_key(key, None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            self._key, self.certificate = loaded, x509.load_pem_x509_certificate(certificate)
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _certify("Sandbox Root CA", self._key.public_key(), None, self._key)
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        store.keep_bytes(_KEPT_KEY, pem)
        store.keep_bytes(_KEPT_CERTIFICATE, self.certificate.public_bytes(Encoding.PEM))

    @property
    def pem(self) -> bytes:
        """The anchor that clients have to trust."""
        return self.certificate.public_bytes(Encoding.PEM)

    def write(self, path: Path) -> None:
        """Writes the anchor, in one step, where clients read it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        fresh.write_bytes(self.pem)
        fresh.replace(path)

    def issue(self) -> tuple[rsa.RSAPrivateKey, list[x509.Certificate]]:
        """A key that signs webhooks, with its chain below the anchor: leaf, then intermediate."""
        middle = ec.generate_private_key(ec.SECP256R1())
        intermediate = _certify("Sandbox Intermediate CA", middle.public_key(), self.certificate, self._key)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        leaf = _certify(HOST, key.public_key(), intermediate, middle)
        return key, [leaf, intermediate]


class Signer:
    """Signs webhooks and serves what verifies them."""

    def __init__(self, authority: Authority, public_url: str) -> None:
        self._authority = authority
        self._public_url = public_url

    @cached_property
    def _issued(self) -> tuple[rsa.RSAPrivateKey, list[x509.Certificate]]:
        return self._authority.issue()

    @property
    def certificate_id(self) -> str:
        """Last part of the certificate's address."""
        return f"CERT-{self._issued[1][0].fingerprint(hashes.SHA256()).hex()[:24]}"

    @property
    def certificate_url(self) -> str:
        """Where the chain is served."""
        return f"{self._public_url}/v1/notifications/certs/{self.certificate_id}"

    @property
    def chain_pem(self) -> bytes:
        """Leaf and intermediate."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self._issued[1])

    def sign(self, endpoint: Endpoint, body: bytes) -> Mapping[str, str]:
        """The five headers over these very bytes, as a transmission of its own, as of now."""
        transmission_id = secrets.token_hex(16)
        transmission_id = "-".join(transmission_id[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = _message(transmission_id, moment, endpoint.id, body)
        signature = self._issued[0].sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return {
            "PAYPAL-TRANSMISSION-ID": transmission_id,
            "PAYPAL-TRANSMISSION-TIME": moment,
            "PAYPAL-TRANSMISSION-SIG": base64.b64encode(signature).decode(),
            "PAYPAL-CERT-URL": self.certificate_url,
            "PAYPAL-AUTH-ALGO": _ALGORITHM,
            "User-Agent": "PayPal/AUHD-1.0-1 (sandbox)",
        }

    def verifies(self, fields: Mapping[str, str], body: bytes) -> bool:
        """Whether these fields of `verify-webhook-signature` are a signature of ours over `body`."""
        if fields["auth_algo"] != _ALGORITHM or fields["cert_url"] != self.certificate_url:
            return False
        signed = _message(fields["transmission_id"], fields["transmission_time"], fields["webhook_id"], body)
        try:
            signature = base64.b64decode(fields["transmission_sig"], validate=True)
            self._issued[0].public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True


def _message(transmission_id: str, moment: str, webhook_id: str, body: bytes) -> bytes:
    return f"{transmission_id}|{moment}|{webhook_id}|{zlib.crc32(body)}".encode()


def _certify(
    name: str,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """A certificate as RFC 5280 and the web PKI want it: an authority's on an EC key, a leaf's on an RSA key."""
    authority = isinstance(key, ec.EllipticCurvePublicKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + (3650 if authority else 365) * _DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_usage(authority), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
