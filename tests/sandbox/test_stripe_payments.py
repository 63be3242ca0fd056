"""Payment intents behave as Stripe documents them, asked through the official SDK."""

import pytest
import requests
import stripe

from tests.sandbox.harness import TIMEOUT_S, Json, Running
from tests.sandbox.stripe_calls import RETURN_URL, card, held, pay, refused

THREE_D_SECURE = "4000000000003220"


@pytest.mark.parametrize(
    ("number", "code", "decline_code"),
    [
        ("4000000000000002", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000009987", "card_declined", "lost_card"),
        ("4000000000009979", "card_declined", "stolen_card"),
        ("4000000000006975", "card_declined", "card_velocity_exceeded"),
        ("4100000000000019", "card_declined", "fraudulent"),
        ("4000000000000069", "expired_card", None),
        ("4000000000000127", "incorrect_cvc", None),
        ("4000000000000119", "processing_error", None),
        ("4111111111111111", "card_declined", "test_mode_live_card"),
    ],
)
def test_a_test_card_declines_as_published(sandbox: Running, number: str, code: str, decline_code: str | None) -> None:
    error = refused(lambda: pay(sandbox, number), stripe.CardError)
    assert (error.http_status, error.code, getattr(error.error, "decline_code", None)) == (402, code, decline_code)
    intent = sandbox.stripe().v1.payment_intents.retrieve(error.error.payment_intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None and intent.last_payment_error.code == code
    assert intent.last_payment_error.charge == intent.latest_charge
    assert (intent.amount_received, intent.payment_method) == (0, None)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"number": "4242424242424241"}, "incorrect_number"),
        ({"number": "42"}, "invalid_number"),
        ({"exp_month": 13}, "invalid_expiry_month"),
        ({"exp_year": 2020}, "invalid_expiry_year"),
        ({"cvc": "1"}, "invalid_cvc"),
    ],
)
def test_wrong_card_data_make_no_intent(sandbox: Running, fields: Json, code: str) -> None:
    error = refused(lambda: pay(sandbox, payment_method_data=card(**fields)), stripe.CardError)
    assert (error.http_status, error.code) == (402, code)
    assert sandbox.books()["payments"] == []


@pytest.mark.parametrize(
    ("token", "brand", "last4"),
    [("pm_card_visa", "visa", "4242"), ("pm_card_mastercard", "mastercard", "4444"), ("pm_card_amex", "amex", "0005")],
)
def test_a_token_pays(sandbox: Running, token: str, brand: str, last4: str) -> None:
    intent = pay(sandbox, payment_method_data=None, payment_method=token, expand=["latest_charge"])
    charged = intent.latest_charge.payment_method_details.card
    assert (intent.status, charged.brand, charged.last4) == ("succeeded", brand, last4)


def test_an_automatic_capture_takes_the_money_and_its_fee_is_known(sandbox: Running) -> None:
    intent = pay(sandbox, expand=["latest_charge.balance_transaction"])
    movement = intent.latest_charge.balance_transaction
    assert (intent.status, intent.amount_received) == ("succeeded", 2000)
    assert (movement.amount, movement.fee, movement.net) == (2000, 88, 1912)
    assert sandbox.stripe().v1.balance_transactions.retrieve(movement.id).fee == 88


def test_a_hold_is_captured_in_part_once_and_the_rest_is_released(sandbox: Running) -> None:
    intent = held(sandbox)
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 2000, 0)
    api = sandbox.stripe().v1
    taken = api.payment_intents.capture(intent.id, {"amount_to_capture": 1500})
    assert (taken.status, taken.amount_capturable, taken.amount_received) == ("succeeded", 0, 1500)
    charge = api.charges.retrieve(str(taken.latest_charge))
    assert (charge.amount_captured, charge.amount_refunded, charge.refunded) == (1500, 500, False)
    error = refused(lambda: api.payment_intents.capture(intent.id))
    assert (error.http_status, error.code) == (400, "payment_intent_unexpected_state")
    assert error.error.payment_intent.status == "succeeded"
    books = sandbox.books()
    assert (books["totals"]["USD"]["captured"], books["totals"]["USD"]["refunded"]) == (1500, 0)
    assert books["payments"][0]["refunds"] == []


def test_more_than_is_held_cannot_be_captured(sandbox: Running) -> None:
    intent = held(sandbox)
    error = refused(lambda: sandbox.stripe().v1.payment_intents.capture(intent.id, {"amount_to_capture": 2001}))
    assert (error.http_status, error.code) == (400, "amount_too_large")
    assert sandbox.stripe().v1.payment_intents.retrieve(intent.id).status == "requires_capture"


def test_a_hold_is_cancelled_once_and_nothing_was_taken(sandbox: Running) -> None:
    intent = held(sandbox)
    api = sandbox.stripe().v1.payment_intents
    cancelled = api.cancel(intent.id, {"cancellation_reason": "requested_by_customer"})
    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "requested_by_customer")
    for again in (lambda: api.cancel(intent.id), lambda: api.capture(intent.id), lambda: api.confirm(intent.id)):
        assert refused(again).code == "payment_intent_unexpected_state"
    assert sandbox.books()["totals"]["USD"]["captured"] == 0


def test_a_charged_intent_cannot_be_cancelled(sandbox: Running) -> None:
    intent = pay(sandbox)
    error = refused(lambda: sandbox.stripe().v1.payment_intents.cancel(intent.id))
    assert error.code == "payment_intent_unexpected_state"


def test_a_bare_intent_is_confirmed_later(sandbox: Running) -> None:
    api = sandbox.stripe().v1.payment_intents
    bare = api.create({"amount": 500, "currency": "eur"})
    assert bare.status == "requires_payment_method"
    assert api.confirm(bare.id, {"payment_method": "pm_card_visa"}).status == "succeeded"


def test_3d_secure_is_approved_by_the_customer(sandbox: Running) -> None:
    intent = pay(sandbox, THREE_D_SECURE)
    assert (intent.status, intent.next_action.type) == ("requires_action", "redirect_to_url")
    back = sandbox.choose(intent.next_action.redirect_to_url.url, "approve")
    assert back.startswith(RETURN_URL) and f"payment_intent={intent.id}" in back
    assert "redirect_status=succeeded" in back
    done = sandbox.stripe().v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    charge = done.latest_charge
    assert isinstance(charge, stripe.Charge) and charge.payment_method_details and charge.payment_method_details.card
    assert charge.payment_method_details.card.three_d_secure is not None
    assert (done.status, done.next_action) == ("succeeded", None)


def test_3d_secure_that_the_customer_declines_fails(sandbox: Running) -> None:
    intent = pay(sandbox, THREE_D_SECURE)
    assert "redirect_status=failed" in sandbox.choose(intent.next_action.redirect_to_url.url, "decline")
    failed = sandbox.stripe().v1.payment_intents.retrieve(intent.id)
    assert failed.last_payment_error is not None
    assert failed.last_payment_error.code == "payment_intent_authentication_failure"
    assert (failed.status, sandbox.books()["totals"]["USD"]["captured"]) == ("requires_payment_method", 0)


def test_the_page_needs_its_key_and_works_once(sandbox: Running) -> None:
    page = pay(sandbox, THREE_D_SECURE).next_action.redirect_to_url.url
    assert requests.get(page[:-1], timeout=TIMEOUT_S).status_code == 404
    sandbox.choose(page, "approve")
    again = requests.post(page, data={"choice": "decline"}, allow_redirects=False, timeout=TIMEOUT_S)
    assert again.status_code == 409
    assert sandbox.books()["totals"]["USD"]["captured"] == 2000


def test_an_authenticated_card_may_still_be_declined(sandbox: Running) -> None:
    intent = pay(sandbox, "4000008400001629")
    assert "redirect_status=failed" in sandbox.choose(intent.next_action.redirect_to_url.url, "approve")
    failed = sandbox.stripe().v1.payment_intents.retrieve(intent.id)
    assert failed.last_payment_error is not None and failed.last_payment_error.code == "card_declined"


@pytest.mark.parametrize(
    ("number", "asked", "status"),
    [
        ("4000000000003055", "any", "requires_action"),
        ("4000000000003055", "automatic", "succeeded"),
        ("4242424242424242", "any", "succeeded"),
    ],
)
def test_a_card_is_challenged_on_request_where_it_can_be(
    sandbox: Running, number: str, asked: str, status: str
) -> None:
    options = {"card": {"request_three_d_secure": asked}}
    assert pay(sandbox, number, payment_method_options=options).status == status


def test_without_the_customer_a_challenge_is_a_decline(sandbox: Running) -> None:
    error = refused(lambda: pay(sandbox, THREE_D_SECURE, error_on_requires_action=True), stripe.CardError)
    assert error.code == "authentication_required"


def test_a_redirect_needs_somewhere_to_return_to(sandbox: Running) -> None:
    error = refused(lambda: pay(sandbox, THREE_D_SECURE, return_url=None))
    assert (error.http_status, error.param) == (400, "return_url")
    assert sandbox.books()["payments"] == []


def test_crypto_is_paid_on_its_page(sandbox: Running) -> None:
    intent = pay(sandbox, payment_method_types=["crypto"], payment_method_data={"type": "crypto"})
    assert intent.status == "requires_action"
    sandbox.choose(intent.next_action.redirect_to_url.url, "approve")
    assert sandbox.stripe().v1.payment_intents.retrieve(intent.id).status == "succeeded"


@pytest.mark.parametrize(
    ("token", "event", "status"),
    [
        ("pm_usBankAccount_success", "payment_intent.succeeded", "succeeded"),
        ("pm_usBankAccount_insufficientFunds", "payment_intent.payment_failed", "requires_payment_method"),
    ],
)
def test_a_bank_debit_settles_later(sandbox: Running, token: str, event: str, status: str) -> None:
    kind = ["us_bank_account"]
    intent = pay(sandbox, payment_method_types=kind, payment_method_data=None, payment_method=token)
    assert (intent.status, intent.amount_received) == ("processing", 0)
    sandbox.inbox.wait_for(event)
    assert sandbox.stripe().v1.payment_intents.retrieve(intent.id).status == status


def test_a_sepa_debit_needs_an_iban(sandbox: Running) -> None:
    kind: Json = {"payment_method_types": ["sepa_debit"], "currency": "eur"}
    error = refused(lambda: pay(sandbox, payment_method_data={"type": "sepa_debit"}, **kind))
    assert error.param == "payment_method_data[sepa_debit][iban]"
    iban = {"type": "sepa_debit", "sepa_debit": {"iban": "AT61 1904 3002 3457 3201"}}
    assert pay(sandbox, payment_method_data=iban, **kind).status == "processing"


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        (49, "usd", "amount_too_small"),
        (100_000_000, "usd", "amount_too_large"),
        (-1, "usd", "parameter_invalid_integer"),
        (12345, "isk", "parameter_invalid_integer"),
        (12345, "kwd", "parameter_invalid_integer"),
        (500, "zzz", None),
    ],
)
def test_an_amount_that_stripe_cannot_take_is_refused(
    sandbox: Running, amount: int, currency: str, code: str | None
) -> None:
    error = refused(lambda: pay(sandbox, amount=amount, currency=currency))
    assert (error.http_status, error.code) == (400, code)


def test_books_are_in_iso_minor_units(sandbox: Running) -> None:
    for amount, currency in ((12300, "isk"), (12340, "kwd"), (500, "jpy"), (700, "mga")):
        pay(sandbox, amount=amount, currency=currency)
    totals = {currency: row["captured"] for currency, row in sandbox.books()["totals"].items()}
    assert totals == {"ISK": 123, "KWD": 12340, "JPY": 500, "MGA": 70000}


def test_what_is_unknown_is_refused(sandbox: Running) -> None:
    assert refused(lambda: pay(sandbox, no_such_parameter="1")).code == "parameter_unknown"
    assert refused(lambda: sandbox.stripe().v1.payment_intents.retrieve("pi_none")).code == "resource_missing"
    refused(sandbox.stripe("sk_test_wrong").v1.payment_intents.list, stripe.AuthenticationError)
    lost = requests.get(f"{sandbox.url}/v1/no_such_thing", timeout=TIMEOUT_S)
    assert (lost.status_code, lost.json()["error"]["type"]) == (404, "invalid_request_error")


def test_no_card_number_is_kept_or_shown(sandbox: Running) -> None:
    intent = pay(sandbox, "4000000000003055", expand=["latest_charge", "payment_method"])
    assert "4000000000003055" not in str(intent) and "123" not in str(intent.payment_method.card)


def test_lists_are_paged_and_filtered(sandbox: Running) -> None:
    ids = [pay(sandbox).id for _ in range(5)]
    api = sandbox.stripe().v1
    page = api.payment_intents.list({"limit": 2})
    assert ([one.id for one in page.data], page.has_more) == (ids[:2:-1], True)
    rest = api.payment_intents.list({"limit": 3, "starting_after": page.data[-1].id})
    assert ([one.id for one in rest.data], rest.has_more) == (ids[2::-1], False)
    api.refunds.create({"payment_intent": ids[1], "amount": 100})
    assert len(api.refunds.list({"payment_intent": ids[1]}).data) == 1
    assert api.refunds.list({"payment_intent": ids[0]}).data == []


def test_search_finds_by_metadata(sandbox: Running) -> None:
    found = pay(sandbox, metadata={"kassa_transaction": "t-2"})
    pay(sandbox)
    hits = sandbox.stripe().v1.payment_intents.search({"query": "metadata['kassa_transaction']:'t-2'"})
    assert [hit.id for hit in hits.data] == [found.id]


def test_a_connected_account_has_books_of_its_own(sandbox: Running) -> None:
    sandbox.post("/sandbox/accounts", {"processor": "stripe", "id": "acct_shop", "platform": "acct_sandbox"})
    sandbox.post("/sandbox/accounts", {"processor": "stripe", "id": "acct_other", "api_key": "sk_test_other_account"})
    api = sandbox.stripe().v1.payment_intents
    made = api.create({"amount": 500, "currency": "usd"}, {"stripe_account": "acct_shop"})
    assert api.retrieve(made.id, {}, {"stripe_account": "acct_shop"}).id == made.id
    assert refused(lambda: api.retrieve(made.id)).code == "resource_missing"
    refused(lambda: api.list({}, {"stripe_account": "acct_other"}), stripe.PermissionError)
    assert sandbox.books("acct_shop")["totals"]["USD"]["payments"] == 1
