"""What is kept of calls: what a whitelist names, and never anything that a settlement could stumble over."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from server.processors.paypal import kept as paypal
from server.processors.redaction import HIDDEN, LARGEST, MOST_ITEMS, Kept, address, answer, body, each, form, plain
from server.processors.redaction import reference as ours
from server.processors.stripe import kept as stripe

KEPT: dict[str, Kept] = {
    "id": plain,
    "url": address,
    "ours": ours,
    "names": each,
    "inner": {"id": plain},
}


def test_an_answer_keeps_what_is_named_and_is_silent_on_the_rest() -> None:
    found = {"id": "pi_1", "client_secret": "s", "inner": [{"id": 1, "email": "a@b.c"}, {"id": 2}], "names": None}
    assert answer(found, KEPT) == {"id": "pi_1", "inner": [{"id": 1}, {"id": 2}]}


def test_a_request_says_which_fields_are_hidden() -> None:
    assert body({"id": "1", "secret": {"deep": "s"}}, KEPT) == {"id": "1", "secret": HIDDEN}
    assert form("id=1&card%5Bnumber%5D=4242", KEPT) == {"id": "1", "card[number]": HIDDEN}


def test_what_is_no_form_is_hidden_whole() -> None:
    assert form(b"--boundary", KEPT) == {HIDDEN: HIDDEN}
    assert form(None, KEPT) == {}


def test_an_address_keeps_its_host_alone() -> None:
    assert address("https://hooks.stripe.com/3d/secret?client_secret=s#f") == "https://hooks.stripe.com/…"
    assert address("https://user:word@bank.example:8443/x") == "https://bank.example/…"
    assert [address(strange) for strange in ("/relative?token=1", "", 7, "https://[")] == [HIDDEN] * 4


def test_a_reference_that_is_none_of_ours_is_hidden() -> None:
    assert ours("0199e5a0-7a3e-7cc3-98c4-dc0c0c07398f") == "0199e5a0-7a3e-7cc3-98c4-dc0c0c07398f"
    assert ours("ada@example.com") == HIDDEN


def test_an_object_where_a_plain_value_is_expected_is_hidden() -> None:
    assert answer({"id": {"email": "a@b.c"}}, KEPT) == {"id": HIDDEN}


def test_an_object_that_was_not_expanded_is_kept_by_its_id_and_nothing_else() -> None:
    assert answer({"inner": "ch_1aB"}, KEPT) == {"inner": "ch_1aB"}
    for secret in ("pi_1_secret_2", "sk_test_1", "4242424242424242", "Ada Byron"):
        assert answer({"inner": secret}, KEPT) == {"inner": HIDDEN}


def test_only_a_token_is_kept_of_what_a_merchant_sends_for_one() -> None:
    assert form("payment_method=pm_card_visa", stripe.REQUEST) == {"payment_method": "pm_card_visa"}
    assert form("payment_method=4242424242424242", stripe.REQUEST) == {"payment_method": HIDDEN}
    assert form("payment_method=sk_test_123", stripe.REQUEST) == {"payment_method": HIDDEN}


def test_what_postgres_or_json_cannot_hold_is_hidden() -> None:
    for strange in ("a\0b", "\ud800", "line\nbreak", 2**64, -(2**63), "x" * 500):
        assert answer({"id": strange}, KEPT) == {"id": HIDDEN}


def test_a_long_list_and_a_large_answer_are_cut() -> None:
    assert answer({"names": ["n"] * 100}, KEPT)["names"] == ["n"] * MOST_ITEMS + [HIDDEN]
    wide: dict[str, Kept] = {f"f{n}": plain for n in range(1000)}
    shown = answer({name: "x" * 100 for name in wide}, wide)
    assert shown["f0"] == "x" * 100 and shown[HIDDEN] == "cut"
    assert len(orjson.dumps(shown)) <= LARGEST


# Names that the whitelists know, so that generated values reach their leaves.
_NAMES = st.sampled_from([*stripe.RESPONSE, *paypal.RESPONSE, "unknown"]) | st.text(max_size=5)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(_NAMES, inner, max_size=8),
    max_leaves=40,
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=8), st.sampled_from([stripe.RESPONSE, paypal.RESPONSE]))
def test_whatever_a_processor_says_can_be_stored(found: dict[str, Any], kept: dict[str, Kept]) -> None:
    for shown in (answer(found, kept), body(found, kept)):
        stored = orjson.dumps(shown)
        assert len(stored) <= LARGEST
        assert b"\\u0000" not in stored


@given(st.text() | st.binary() | st.none())
def test_whatever_is_sent_can_be_stored(sent: object) -> None:
    assert len(orjson.dumps(form(sent, stripe.REQUEST))) <= LARGEST
