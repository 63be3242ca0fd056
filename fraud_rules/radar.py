"""How Stripe's Radar says what the cookbook says: the examples and attributes of its public reference, as facts.

Read by `cookbook_reference`. Sources, as of 2025: https://docs.stripe.com/radar/rules/reference,
https://docs.stripe.com/radar/rules and https://docs.stripe.com/radar/rules/supported-attributes
"""

from collections.abc import Sequence
from typing import Final

EXAMPLES: Final[Sequence[tuple[str, str]]] = (
    ("Allow payments less than $10", "allow_below_ten"),
    ("Block payments greater than $1,000", "block_above_1000"),
    ("Review payments made with a card issued outside the US", "review_cards_from_abroad"),
    ("Block if :amount_in_usd: > 1000.00", "block_above_1000"),
    ("Block if :card_country: != :ip_country:", "block_other_country"),
    ("Review payments where the card and IP countries are different", "block_other_country"),
    ("Review if ::Customer Age:: < 30", "review_young_customers"),
    ("Review if ::Item ID:: = '5A381D' and :amount_in_usd: > 1000", "review_item_above_1000"),
    ("Review if ::Category ID:: IN ('groceries', 'electronics', 'clothing')", "review_categories"),
    ("Review if ::Item ID:: INCLUDES 'A381'", "review_part_of_item"),
    ("Allow if ::customer:Trusted:: = 'true'", "allow_trusted"),
    ("total_charges_per_customer_hourly", "charges_of_the_hour"),
    ("seconds_since_email_first_seen", "address_seen_just_now"),
    ("authorized_charges_per_email_hourly", "approvals_of_the_hour"),
    ("Block payments made with a disposable email address", "block_disposable_address"),
    ("Review payments made with an anonymous IP address; :is_anonymous_ip:", "review_anonymous_address"),
    ("Block if :address_line1_check: = 'fail'", "street_was_wrong"),
    ("Block if :cvc_check: = 'fail'", "code_was_wrong"),
    ("Block if :address_zip_check: in ('fail', 'not_provided')", "postcode_was_wrong_or_is_missing"),
    (":card_country: = 'us', :card_country: != 'US'", "review_cards_from_abroad"),
    (":card_funding: != 'prepaid'", "block_not_prepaid"),
    (":amount_in_gbp: < 10.00", "below_ten_pounds"),
    (":amount_in_usd: > 500.00", "above_500_dollars"),
    (":amount_in_eur: <= 100.00", "up_to_100_euros"),
    (":amount_in_cad: >= 10.00", "from_10_canadian_dollars"),
    (":amount_in_usd: >= 1000.00", "at_least_1000"),
    (":card_country: IN ('gb', 'ie')", "british_or_irish_card"),
    (":ip_address: INCLUDES '192.168'", "private_network"),
    (":email: LIKE 'fraud%@stripe.com'", "address_like"),
    (":card_brand: = 'amex'", "block_bin_amex"),
    ("Block if :card_country: = 'CA' OR :card_country: = 'DE' OR :card_country: = 'AE'", "block_three_countries"),
    ("Block if :card_country: IN ('CA', 'DE', 'AE')", "block_three_countries"),
    ("Block if :card_country: in @card_countries_to_block", "block_countries_of_a_file"),
    ("the same list, edited while payments run", "block_countries_of_the_day"),
    ("Block if :email_domain: = 'definitelyfraud.com'", "block_one_domain"),
    ("Review if :email_domain: != 'definitelysafe.com'", "review_other_domains"),
    ("Review if NOT (:email_domain: = 'definitelysafe.com')", "review_other_domains"),
    ("Review if is_missing(:email_domain:)", "review_missing_domain"),
    ("Review if !(is_missing(::foo::))", "review_with_foo"),
    (
        "Review if is_missing(:email_domain:) OR :email_domain: IN ('yopmail.net', 'yandex.ru')",
        "review_missing_or_odd_domain",
    ),
    ("{X} OR NOT {Y} AND {Z}", "precedence"),
    ("Review if :card_funding: = 'prepaid', improved by :is_disposable_email:", "review_prepaid_throwaway"),
    ("Review payments greater than 1,000 USD made with a prepaid card", "review_prepaid_above_1000"),
    ("Block Discover card payments of more than $1000", "block_discover_above_1000"),
    ("Allow payments from stripe.com email addresses", "allow_one_domain"),
    ("Allow all payments from your call center's IP address", "allow_call_centre"),
    ("Allow if :ip_country: = 'GB'", "allow_british_browser"),
    ("Request 3D Secure if is_missing(:seconds_since_card_first_seen:)", "challenge_new_cards"),
    ("Request 3D Secure for payments made by a new customer", "challenge_new_customers"),
    ("Request 3D Secure if ::foo:: = 'bar'", "challenge_by_metadata"),
    ("Request 3D Secure if ::customer:trusted:: = 'false'", "challenge_untrusted"),
    ("Request 3D Secure if :card_country: in @enforce_3ds_list", "challenge_countries"),
)
"""Stripe's text, and the id of the rule in `stripe_radar*.yaml` that says the same."""

ATTRIBUTES: Final[Sequence[tuple[str, str]]] = (
    ("total_charges_per_X_hourly / daily / weekly / all_time", 'count("payments", by="X", within="1h")'),
    ("authorized_charges_per_X_…", 'count("approvals", by="X", within="1h")'),
    ("declined_charges_per_X_…", 'count("declines", by="X", within="1h")'),
    ("blocked_charges_per_X_…", 'count("blocks", by="X", within="1h")'),
    ("dispute_count_on_X_…", 'count("disputes", by="X", within="ever")'),
    ("efw_count_on_X_…", 'count("early_fraud_warnings", by="X", within="ever")'),
    ("refund_count_on_card_…", 'count("refunds", by="card", within="ever")'),
    ("card_count_for_X_…", 'distinct("card", by="X", within="1h")'),
    ("email_count_for_X_…", 'distinct("email", by="X", within="1h")'),
    ("name_count_for_card_…", 'distinct("holder_name", by="card", within="1h")'),
    ("total_customers_for_X_…", 'distinct("customer", by="X", within="7d")'),
    ("total_usd_amount_charged_on_X_all_time", 'sum("payments", by="X", within="ever")'),
    ("total_usd_amount_successful_on_X_all_time", 'sum("approvals", by="X", within="ever")'),
    (
        "total_usd_amount_failed_on_X_all_time",
        'sum("declines", by="X", within="ever") + sum("blocks", by="X", within="ever")',
    ),
    ("average_usd_amount_attempted_on_X_all_time", 'average("payments", by="X", within="ever")'),
    ("average_usd_amount_successful_on_X_all_time", 'average("approvals", by="X", within="ever")'),
    ("seconds_since_X_first_seen, minutes_…, hours_…", 'seconds_since_first("payments", by="X") < "10m"'),
    ("seconds_since_first_successful_auth_on_card", 'seconds_since_first("approvals", by="card")'),
    ("hours_since_customer_was_created", "customer_age_days"),
    ("is_new_card_on_customer (nearest)", 'first_seen("payments", by="card")'),
    ("charge_description", "description"),
    ("card_bin, card_fingerprint, cardholder_name", "bin, card, holder_name"),
    (
        "billing_address, shipping_address, …_postal_code, …_country",
        "billing_address, billing_postcode, billing_country",
    ),
)
"""Families of Stripe's attributes, and an expression of ours for one of them."""

NEED_A_SCORE: Final[Sequence[str]] = (
    "Allow payments made within the US and with a risk level of normal",
    "Block payments where the risk level is high",
    "Block if :risk_level: = 'highest', Review if :risk_level: = 'elevated'",
    "Block if :card_country: != 'US' and :risk_level: = 'elevated'",
    "Allow if :ip_country: = 'GB' and :risk_level: != 'highest'",
    "Request 3D Secure if :risk_level: != 'normal' and :amount_in_usd: > 25",
    "Block if CVC verification fails based on risk score, Block if Postal code verification fails based on risk score",
    "Request 3D Secure if 3D Secure is recommended for card",
)
"""Examples that ask for Stripe's machine-learned score, which Kassa has none of."""

NOT_WRITABLE: Final[Sequence[tuple[str, str]]] = (
    (
        "Block if :ip_state: = 'CA'",
        "Kassa knows an address's country only; the table from address to place that a merchant loads has no states.",
    ),
    (
        "Review if ::destination:Category:: = 'new'",
        "There is no destination account: a merchant is paid itself. What it knows of a seller goes into the payment's "
        'metadata: `metadata_seller_category == "new"`.',
    ),
    (
        ":cvc_check:, :address_line1_check: and :address_zip_check: of the payment itself",
        "Kassa decides before the bank is asked, so nothing that it blocks is ever charged or held; `last(…)` has what "
        "the bank said of earlier payments. What the bank approves in spite of a wrong code is not undone by a rule.",
    ),
    (
        "Block if :is_3d_secure: and not :is_3d_secure_authenticated:, and the other rules over :is_3d_secure:, "
        ":has_liability_shift:",
        "These ask how the 3-D Secure of this very payment ended. Here a challenge that fails makes the payment FAILED "
        "by itself, and a card that knows no 3-D Secure goes ahead by its bank's word. Of earlier payments, "
        '`last("three_d_secure", by="card")` has the answer.',
    ),
    (
        "not :is_off_session: and :digital_wallet: != 'apple_pay' and not (… and :has_cryptogram:)",
        "Payments here are made with a customer present; wallets in a browser reach Kassa as a method of their own.",
    ),
    (
        "Request 3D Secure if 3D Secure is supported for card, … if 3D Secure is required for card",
        "Whether a card supports it is known to the processor alone; `action: challenge` asks where it can be asked.",
    ),
    (
        "…_per_billing_address_…, …_on_stripe",
        "The past is counted by the ten keys of `by=`, and within one merchant; a billing address is none of them.",
    ),
    (
        "distance_between_…, isp, ip_address_connection_type, operating_system, browser",
        "They need geographic and network tables that Kassa does not have; `user_agent` is a text of its own.",
    ),
)
"""What needs facts that Kassa does not have, and why, or what to write instead."""
