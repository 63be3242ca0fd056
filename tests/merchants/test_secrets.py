"""Keys, seals and page tokens: what must not be guessed, moved, altered or reused."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.api_key_secret import LIVE, PLATFORM, TEST, is_well_formed, make_secret
from server.domain.errors import KassaError, Reason
from server.storage.keyed_hash import Purpose, derive_key, keyed_hash
from server.storage.sealing import SealBroken, Sealing
from server.usecases.page_tokens import PageTokens

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.mark.parametrize("prefix", [TEST, LIVE, PLATFORM])
def test_a_secret_is_well_formed_and_new(prefix: str) -> None:
    made = {make_secret(prefix) for _ in range(200)}
    assert len(made) == 200 and all(is_well_formed(secret) for secret in made)
    assert all(re.fullmatch(rf"{prefix}[0-9A-Za-z]{{39}}", secret) for secret in made)
    # Every character occurs about as often: 200 · 33 draws of 62.
    drawn = Counter("".join(secret[len(prefix) :][:33] for secret in made))
    assert len(drawn) == 62


@given(st.integers(0, 46), st.characters(codec="utf-8"))
def test_a_mistyped_secret_is_recognised(position: int, typed: str) -> None:
    secret = make_secret(TEST)
    mistyped = secret[:position] + typed + secret[position + 1 :]
    assert is_well_formed(mistyped) is (mistyped == secret)


def test_every_purpose_has_a_key_of_its_own() -> None:
    keys = {derive_key("s" * 32, purpose) for purpose in Purpose} | {derive_key("t" * 32, Purpose.API_KEYS)}
    assert len(keys) == len(Purpose) + 1 and all(len(key) == 32 for key in keys)


def test_derivation_never_changes() -> None:
    """Another key would invalidate every API key that was issued."""
    key = derive_key("a root secret of thirty-two chars", Purpose.API_KEYS)
    assert keyed_hash(key, b"sk_test_x").hex() == DERIVED


DERIVED = "c31714c7b28c08a9b96a047f245b7cbb57c9ae56139a92db7592f23f75de9cae"


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_a_seal_opens_with_its_row_alone(plaintext: bytes, row: bytes) -> None:
    sealing = Sealing([NEW])
    sealed = sealing.seal(plaintext, row)
    assert sealing.open(sealed, row) == plaintext
    assert sealing.seal(plaintext, row) != sealed
    with pytest.raises(SealBroken):
        sealing.open(sealed, row + b"x")


@given(st.data())
def test_an_altered_seal_does_not_open(data: st.DataObject) -> None:
    sealing = Sealing([NEW])
    sealed = sealing.seal(b"sk_test_1", b"row")
    position = data.draw(st.integers(0, len(sealed) - 1))
    altered = bytearray(sealed)
    altered[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        sealing.open(bytes(altered), b"row")


@pytest.mark.parametrize("cut", [0, 1, 5, 17, 20])
def test_a_cut_off_seal_does_not_open(cut: int) -> None:
    sealing = Sealing([NEW])
    with pytest.raises(SealBroken):
        sealing.open(sealing.seal(b"sk_test_1", b"row")[:cut], b"row")


def test_a_key_is_rotated_by_putting_a_new_one_in_front() -> None:
    sealed = Sealing([OLD]).seal(b"sk_test_1", b"row")
    rotated = Sealing([NEW, OLD])
    assert rotated.open(sealed, b"row") == b"sk_test_1"
    with pytest.raises(SealBroken):
        Sealing([NEW]).open(sealed, b"row")
    assert Sealing([NEW]).open(rotated.seal(b"sk_test_1", b"row"), b"row") == b"sk_test_1"


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_page_token_leads_back_to_its_position(scope: str, position: str) -> None:
    tokens = PageTokens(OLD)
    token = tokens.issue(scope, position)
    assert re.fullmatch("[0-9A-Za-z_-]+", token)
    assert tokens.read(scope, token) == position


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_page_token_is_good_for_its_scope_and_key_alone(scope: str, position: str) -> None:
    token = PageTokens(OLD).issue(scope, position)
    for tokens, wrong in ((PageTokens(OLD), scope + "x"), (PageTokens(NEW), scope)):
        with pytest.raises(KassaError) as caught:
            tokens.read(wrong, token)
        assert (caught.value.reason, caught.value.field) == (Reason.PAGE_TOKEN_INVALID, "page_token")


@given(st.text(max_size=80))
def test_a_made_up_page_token_is_refused(token: str) -> None:
    with pytest.raises(KassaError):
        PageTokens(OLD).read("scope", token)
