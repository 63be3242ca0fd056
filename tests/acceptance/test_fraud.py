"""The default rules decide each payment, by what Postgres has counted, before anything is asked of a processor."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fraud_rules import DEFAULT_RULES, check_sources, read_sources
from sandbox.local.parts import READER, WRITER
from tests.acceptance.shop import Shop, card, order, wait_until
from tests.acceptance.stacks import Platform


def test_a_large_frequent_and_oddly_placed_payment_is_blocked(shop: Shop) -> None:
    customer = {"id": f"cus_{uuid4().hex}"}
    for _ in range(11):
        shop.paid(customer=customer)
    before = len(shop.books())
    response = shop.pay(order(customer=customer, amount=1_000_100, shipping_address={"country": "DE"}))
    payment = response.json()
    assert (response.status_code, payment["state"]) == (402, "FAILED")
    assert payment["failure"]["code"] == "FRAUD_BLOCKED"
    assert payment["fraud"]["score"] >= 0.9
    assert {"amount_above_10k", "customer_velocity", "country_mismatch"} <= set(payment["fraud"]["rules"])
    assert shop.get(payment)["fraud"] == payment["fraud"]
    assert len(shop.books()) == before
    assert shop.transactions(payment) == []


def test_a_blocked_payment_answers_its_key_again(shop: Shop) -> None:
    customer, key = {"id": f"cus_{uuid4().hex}"}, str(uuid4())
    for _ in range(11):
        shop.paid(customer=customer)
    body = order(customer=customer, amount=1_000_100, shipping_address={"country": "DE"})
    first, second = shop.pay(body, key), shop.pay(body, key)
    assert second.json() == first.json()
    assert (second.status_code, second.headers["idempotent-replayed"]) == (402, "true")


def test_each_sign_alone_is_harmless(shop: Shop) -> None:
    large = shop.paid(amount=1_000_100)
    assert "amount_above_10k" in large["fraud"]["rules"]
    assert large["fraud"]["outcome"] == "ALLOW"
    elsewhere = shop.paid(shipping_address={"country": "DE"})
    assert "country_mismatch" in elsewhere["fraud"]["rules"]


RULE = """
  - id: no_gift_cards
    why: Gift cards are where stolen cards go.
    when: description.startswith("gift")
    action: block
    tests:
      - {given: {description: gift card}, fires: true}
      - {given: {description: shoes}, fires: false}
"""


@pytest.mark.xdist_group("breakable")
def test_an_edited_rule_decides_while_payments_run_and_a_broken_one_changes_nothing(
    own_stack: Platform, rules_file: Path
) -> None:
    shop = own_stack.new_shop()
    gift = order(description="gift card", customer=None)
    assert shop.pay(gift).status_code == 201
    head, _, tests = rules_file.read_text().partition("\ntests:")
    rules_file.write_text(f"{head}\n{RULE}\ntests:{tests}")
    # Two servers take it up, each in its own time; from then on it is obeyed by both.
    wait_until(lambda: [shop.pay(gift).status_code for _ in range(4)], lambda codes: codes == [402] * 4, 60)
    blocked = shop.pay(gift).json()
    assert (blocked["failure"]["code"], blocked["fraud"]["rules"]) == ("FRAUD_BLOCKED", ["no_gift_cards"])

    already_said = len(own_stack.log("server-1"))
    rules_file.write_text(rules_file.read_text().replace("startswith", "startwith"))
    wait_until(
        lambda: own_stack.log("server-1")[already_said:],
        lambda log: "startswith" in log.rpartition("rules not taken up")[2] and "rules not taken up" in log,
        60,
    )
    assert [shop.pay(gift).status_code for _ in range(4)] == [402] * 4


CHALLENGE = """
  - id: prove_it
    why: Worth asking the owner of the card.
    when: description.startswith("prove")
    action: challenge
    tests:
      - {given: {description: prove it}, fires: true}
      - {given: {description: shoes}, fires: false}
"""
CAN_BE_CHALLENGED = "4000000000003055"
"""Enrolled in 3-D Secure, and asked only on request: https://docs.stripe.com/testing#three-ds-cards"""


@pytest.mark.xdist_group("breakable")
def test_a_rule_that_challenges_sends_the_customer_to_their_bank_and_back(
    own_stack: Platform, rules_file: Path
) -> None:
    shop = own_stack.new_shop()
    body = order(card=card(CAN_BE_CHALLENGED), description="prove it", customer=None)
    head, _, tests = rules_file.read_text().partition("\ntests:")
    rules_file.write_text(f"{head}\n{CHALLENGE}\ntests:{tests}")
    wait_until(lambda: [shop.pay(body).json()["state"] for _ in range(4)], lambda states: states == ["PENDING"] * 4, 40)

    approved, declined = shop.pay(body).json(), shop.pay(body).json()
    assert (approved["fraud"]["outcome"], approved["fraud"]["rules"]) == ("CHALLENGE", ["prove_it"])
    assert approved["next_action"]["type"] == "REDIRECT"
    shop.act(approved)
    shop.act(declined, "decline")
    confirmed = shop.post(approved, "confirm")
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "COMPLETED")
    refused = shop.post(declined, "confirm")
    assert (refused.status_code, refused.json()["failure"]["code"]) == (402, "AUTHENTICATION_FAILED")
    assert shop.paid(card=card(CAN_BE_CHALLENGED))["state"] == "COMPLETED"


def rules(stack: Platform, *arguments: str) -> Any:
    """Runs `kassa rules … --json` as an operator, and reads what it says."""
    databases = stack.stack.site.databases
    environment = os.environ | {
        "KASSA_DATABASE_URL": databases[WRITER],
        "KASSA_DATABASE_READER_URL": databases[READER],
        "LOGNAME": "ada",
    }
    kassa = Path(sys.executable).with_name("kassa")
    done = subprocess.run(
        [kassa, "rules", *arguments, "--json"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.xdist_group("breakable")
def test_a_release_is_obeyed_by_every_server_and_its_rollback_survives_a_crash(
    own_stack: Platform, rules_file: Path, tmp_path: Path
) -> None:
    shop = own_stack.new_shop()
    gift = order(description="gift card", customer=None)
    watched = check_sources(read_sources(rules_file)).hash
    wait_until(lambda: rules(own_stack, "history")["in_force"]["LIVE"]["hash"], lambda live: live == watched)
    head, _, tests = DEFAULT_RULES.read_text().partition("\ntests:")
    stricter = tmp_path / "stricter.yaml"
    stricter.write_text(f"{head}\n{RULE.replace('no_gift_cards', 'gifts_are_out')}\ntests:{tests}")
    promoted = rules(own_stack, "promote", str(stricter), "--reason", "gift cards are abused")["release"]
    wait_until(lambda: [shop.pay(gift).status_code for _ in range(4)], lambda codes: codes == [402] * 4, 60)

    back = rules(own_stack, "rollback", "--reason", "customers complain")["release"]
    assert (back["hash"], back["author"]) == (watched, "ada")
    wait_until(lambda: [shop.pay(gift).status_code for _ in range(4)], lambda codes: codes == [201] * 4, 60)
    for part in ("server-1", "server-2"):
        own_stack.kill(part)
    own_stack.revive()
    assert [shop.pay(gift).status_code for _ in range(4)] == [201] * 4
    newest = rules(own_stack, "history")["releases"][:2]
    assert [one["release"]["number"] for one in newest] == [back["number"], promoted["number"]]
    replayed = rules(own_stack, "replay", "--since", "1h")
    assert replayed["replayed"] >= 12
    assert (replayed["undecided"], replayed["shadows"]["differing"], replayed["differences"]) == (0, 0, [])


@pytest.mark.xdist_group("breakable")
def test_a_rule_is_snoozed_over_rest_and_acts_again_when_that_is_ended(own_stack: Platform, rules_file: Path) -> None:
    shop = own_stack.new_shop()
    gift = order(description="gift card", customer=None)
    head, _, tests = rules_file.read_text().partition("\ntests:")
    rules_file.write_text(f"{head}\n{RULE}\ntests:{tests}")
    wait_until(lambda: [shop.pay(gift).status_code for _ in range(4)], lambda codes: codes == [402] * 4, 40)

    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    snooze = {"rule": "no_gift_cards", "author": "ada", "reason": "A campaign.", "expires_at": until}
    made = own_stack.administer("POST", "/v1/rules/snoozes", snooze)
    codes = wait_until(lambda: [shop.pay(gift).status_code for _ in range(4)], lambda codes: codes == [201] * 4, 40)
    assert codes == [201] * 4
    decision = shop.call("GET", f"/v1/decisions/{shop.pay(gift).json()['id']}").json()
    assert (decision["decision"]["outcome"], decision["snoozed_rules"]) == ("ALLOW", ["no_gift_cards"])
    assert (decision["role"], decision["backend"], decision["shadows"]) == ("LIVE", "ENGINE", [])
    listed = own_stack.administer("GET", "/v1/rules/snoozes?rule=no_gift_cards")
    assert [one["id"] for one in listed["snoozes"]] == [made["id"]]

    own_stack.administer("POST", f"/v1/rules/snoozes/{made['id']}/end", {"ended_by": "grace"})
    wait_until(lambda: [shop.pay(gift).status_code for _ in range(4)], lambda codes: codes == [402] * 4, 40)
    refused = own_stack.ask("POST", "/v1/rules/snoozes", snooze | {"rule": "no_gift_card"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "rule" and "no_gift_cards" in refused.json()["error"]["message"]
    statistics = own_stack.administer("GET", "/v1/rules/statistics")
    assert {(one["rule"], one["snoozed"]) for one in statistics["rules"]} >= {
        ("no_gift_cards", True), ("no_gift_cards", False),
    }  # fmt: skip
