"""The secrets of one local stack, made at its first start and kept in `secrets.json`. Used by `stack.LocalStack`."""

import base64
import json
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Passwords of the database roles, the gateway's own keys, and the keys of the stand-ins' accounts."""

    postgres_password: str
    owner_password: str
    writer_password: str
    reader_password: str
    secret_key: str
    encryption_key: str
    stripe_secret_key: str
    stripe_webhook_secret: str
    paypal_client_id: str
    paypal_client_secret: str
    paypal_webhook_id: str


def _token() -> str:
    return secrets.token_hex(24)


_MAKERS: Final[dict[str, Callable[[], str]]] = {
    "encryption_key": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "stripe_secret_key": lambda: f"sk_test_{_token()}",
    "stripe_webhook_secret": lambda: f"whsec_{_token()}",
    "paypal_webhook_id": lambda: secrets.token_hex(8).upper(),
}


def load_or_make(path: Path) -> Credentials:
    """Reads the secrets, after making those that the file does not have yet; only its owner can read the file."""
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    names = [field.name for field in fields(Credentials)]
    credentials = Credentials(**{name: known.get(name) or _MAKERS.get(name, _token)() for name in names})
    if asdict(credentials) != known:
        write_private(path, json.dumps(asdict(credentials), indent=2) + "\n")
    return credentials


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read (mode 0600), whole or not at all."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(path)
