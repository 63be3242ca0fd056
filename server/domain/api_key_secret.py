"""The secret of an API key: made here, shown once, kept by nobody. Called by `usecases.api_keys` and `authenticate`.

`sk_test_` and `sk_live_` belong to merchants, `sk_platform_` to who administers them. 33 random base62 characters (196
bits) and a checksum follow, so that a mistyped or cut-off key is refused without a look-up and scanners recognise one.
"""

import re
import secrets
import string
import zlib

TEST, LIVE, PLATFORM = "sk_test_", "sk_live_", "sk_platform_"

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_CHARACTERS, _CHECKSUM_CHARACTERS = 33, 6
_FORM = re.compile(rf"sk_(?:test|live|platform)_[0-9A-Za-z]{{{_RANDOM_CHARACTERS + _CHECKSUM_CHARACTERS}}}", re.ASCII)


def make_secret(prefix: str) -> str:
    """Returns a new secret that begins with TEST, LIVE or PLATFORM."""
    assert prefix in {TEST, LIVE, PLATFORM}
    body = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
    return body + _checksum(body)


def is_well_formed(secret: str) -> bool:
    """Says whether a text can be a secret of ours at all."""
    if _FORM.fullmatch(secret) is None:
        return False
    return _checksum(secret[:-_CHECKSUM_CHARACTERS]) == secret[-_CHECKSUM_CHARACTERS:]


def _checksum(body: str) -> str:
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_CHARACTERS):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
