"""A payment's facts are told in the rules' vocabulary, and what it does not bring stays unknown."""

from datetime import UTC, datetime, timedelta

from fraud_rules import VOCABULARY
from server.domain.card import Card
from server.domain.payment import Address, Customer
from server.screening.facts import facts_of
from server.screening.lookups import load_tables
from tests.factories import make_payment

TABLES = load_tables(None, None)
CARD = Card("4000000760000002", 12, 2030, cvc="123", holder="  Ada   BYRON ")
NOW = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)


def test_all_that_a_payment_tells() -> None:
    payment = make_payment(
        created_at=NOW,
        customer=Customer("cus_1", "Ada@Example.com", "203.0.113.200", "dev_1", "+4930123456", "Firefox"),
        billing_address=Address("1 High  Street", "", "LONDON", "", "N1 9GU", "GB"),
        metadata={"gift": "true"},
    )
    facts = facts_of(payment, CARD, "Europe/Berlin", "fp", NOW - timedelta(days=10, hours=2), TABLES)
    assert facts["bin"] == "40000007"
    assert (facts["card_brand"], facts["card_country"], facts["card_funding"]) == ("visa", "BR", "credit")
    assert facts["card_months_left"] == 4 * 12 + 1  # in Berlin it is November already
    assert facts["holder_name"] == "ada byron"
    assert facts["billing_address"] == "1 high street london n1 9gu gb"
    assert (facts["email_domain"], facts["phone"], facts["user_agent"]) == ("example.com", "+4930123456", "Firefox")
    assert (facts["ip_country"], facts["ip_is_proxy"]) == ("AU", True)
    assert facts["merchant_age_days"] == 10
    assert facts["metadata_gift"] == "true"
    assert {name for name in facts if name not in VOCABULARY} == {"metadata_gift"}


def test_what_is_not_known_is_left_to_be_unknown() -> None:
    payment = make_payment(customer=Customer(), card=None, shipping_address=Address())
    facts = facts_of(payment, None, "UTC", "", None, TABLES)
    for name in ("bin", "card_country", "card_funding", "card_months_left", "holder_name", "ip_is_proxy"):
        assert facts.get(name) is None, name
    for name in ("ip_country", "email_domain", "shipping_address", "phone"):
        assert not facts[name], name
    assert facts["merchant_age_days"] is None


def test_no_fact_holds_the_number_or_the_code() -> None:
    facts = facts_of(make_payment(), CARD, "UTC", "fp", None, TABLES)
    assert all(CARD.number not in str(value) and value != CARD.cvc for value in facts.values())


def test_a_card_of_fifteen_digits_shows_six() -> None:
    amex = Card("378282246310005", 12, 2030)
    facts = facts_of(make_payment(), amex, "UTC", "fp", None, TABLES)
    assert (facts["bin"], facts["card_brand"]) == ("378282", "amex")


def test_every_fact_of_the_vocabulary_is_told_or_looked_up() -> None:
    told = set(facts_of(make_payment(), CARD, "UTC", "fp", NOW, TABLES))
    # The first is computed from amount and currency, the others are looked up among earlier payments.
    assert set(VOCABULARY) - told == {"amount_usd", "customer_age_days", "customer_is_new"}
