"""The oracle finds what is wrong: each test doctors the evidence of a payment on which everything is right."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from sandbox.simulator.evidence import (
    AttentionRow,
    Booked,
    BookEntry,
    EventRow,
    Evidence,
    KeyRow,
    PaymentRow,
    RefundEntry,
    TransactionRow,
    WebhookRow,
)
from sandbox.simulator.oracle import Case, judge
from sandbox.simulator.told import Answer, Call, Verb
from server.domain.ids import Prefix, render_id

MERCHANT, PAYMENT, CHARGE, REFUND = (str(UUID(int=number)) for number in range(1, 5))
SHOWN, SHOWN_REFUND = render_id(Prefix.PAYMENT, UUID(PAYMENT)), render_id(Prefix.REFUND, UUID(REFUND))


def make_case() -> Case:
    """A payment of 19.99 of which 5.00 were refunded, known to its client, booked on both sides."""
    refund = RefundEntry("re_1", REFUND, 500, "succeeded")
    evidence = Evidence(
        payments=(PaymentRow(PAYMENT, MERCHANT, "COMPLETED", "USD", 1999, 1999, 500, 0, False, "pi_1", ""),),
        transactions=(
            TransactionRow(CHARGE, PAYMENT, "AUTHORIZATION", "COMPLETED", 1999, False, "ch_1", "", ""),
            TransactionRow(REFUND, PAYMENT, "REFUND", "COMPLETED", 500, False, "re_1", "", ""),
        ),
        booked=(
            Booked(PAYMENT, "CAPTURE", "processor_receivable", "USD", 1999),
            Booked(PAYMENT, "CAPTURE", "merchant_payable", "USD", -1999),
            Booked(PAYMENT, "REFUND", "processor_receivable", "USD", -500),
            Booked(PAYMENT, "REFUND", "merchant_payable", "USD", 500),
        ),
        unbalanced=(),
        events=(EventRow(PAYMENT, CHARGE, "payment.completed"), EventRow(PAYMENT, REFUND, "refund.completed")),
        webhooks=(WebhookRow("account", "evt_1", "payment_intent.succeeded", True, "HANDLED", "pi_1", "pi_1"),),
        attention=(),
        keys=(KeyRow(MERCHANT, "key", PAYMENT, True),),
        books=(BookEntry("pi_1", PAYMENT, CHARGE, "succeeded", "USD", 0, 1999, 500, False, (refund,)),),
        delivered=frozenset({"evt_1"}),
        undelivered=0,
    )
    calls = (
        Call(Verb.CREATE, 0, "key", "", None, [Answer(SHOWN, "COMPLETED")]),
        Call(Verb.REFUND, 0, "key-refund", SHOWN, 500, [Answer(SHOWN_REFUND, "COMPLETED")]),
    )
    return Case(evidence, calls, frozenset(), (MERCHANT,))


def rules(case: Case) -> set[str]:
    return {finding.rule for finding in judge(case)}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert judge(make_case()) == []


def doctored(table: str, **changes: Any) -> Callable[[Evidence], Evidence]:
    """Changes the first row of a table."""

    def doctor(evidence: Evidence) -> Evidence:
        first, *others = getattr(evidence, table)
        return replace(evidence, **{table: (replace(first, **changes), *others)})

    return doctor


def without(table: str, number: int = 0) -> Callable[[Evidence], Evidence]:
    """Takes a row out of a table."""

    def doctor(evidence: Evidence) -> Evidence:
        rows = getattr(evidence, table)
        return replace(evidence, **{table: (*rows[:number], *rows[number + 1 :])})

    return doctor


def with_row(table: str, row: object) -> Callable[[Evidence], Evidence]:
    """Adds a row to a table."""
    return lambda evidence: replace(evidence, **{table: (*getattr(evidence, table), row)})


SECOND_CHARGE = BookEntry("pi_2", PAYMENT, "other", "succeeded", "USD", 0, 1999, 0, False, ())
OPEN = TransactionRow("t", PAYMENT, "CAPTURE", "UNKNOWN", 1999, False, "", "", "")
WRONG = [
    (without("books"), "books_differ"),
    (doctored("books", captured=1998), "books_differ"),
    (doctored("books", refunded=0), "books_differ"),
    (doctored("payments", refunded=0), "books_differ"),
    (doctored("books", capturable=1), "funds_still_held"),
    (doctored("books", currency="EUR"), "currency_differs"),
    (with_row("books", SECOND_CHARGE), "double_charge"),
    (with_row("books", replace(SECOND_CHARGE, payment_id="nobody's")), "unknown_charge"),
    (doctored("payments", state="FAILED"), "money_not_given_back"),
    (doctored("payments", state="PROCESSING"), "still_processing"),
    (with_row("transactions", OPEN), "still_unknown"),
    (with_row("transactions", replace(OPEN, state="PENDING", waiting=True)), "waits_for_nobody"),
    (doctored("payments", refunding=1), "reservation_left"),
    (doctored("payments", state="PENDING"), "pending_without_transaction"),
    (lambda evidence: replace(evidence, unbalanced=("journal",)), "journal_unbalanced"),
    (without("booked"), "ledger_differs"),
    (doctored("booked", amount=1998), "ledger_differs"),
    (doctored("booked", currency="EUR"), "ledger_currency"),
    (without("events"), "event_missing"),
    (without("events", 1), "event_missing"),
    (with_row("events", EventRow(PAYMENT, CHARGE, "payment.completed")), "event_repeated"),
    (doctored("webhooks", handled=False, result=""), "webhook_unhandled"),
    (doctored("webhooks", result="UNKNOWN_PAYMENT"), "webhook_unknown_payment"),
    (without("webhooks"), "webhook_lost"),
    (lambda evidence: replace(evidence, undelivered=1), "webhooks_undelivered"),
    (with_row("attention", AttentionRow(PAYMENT, CHARGE, "Contradiction", "")), "unexpected_attention"),
    (with_row("attention", AttentionRow(PAYMENT, CHARGE, "ExternalRefund", "")), "unexpected_attention"),
    (doctored("keys", payment_id="nobody's"), "key_without_payment"),
    (without("payments"), "acknowledged_and_lost"),
    (doctored("payments", state="CANCELLED"), "answer_broken"),
    (without("transactions", 1), "acknowledged_and_lost"),
    (doctored("payments", merchant_id="another"), "payment_of_another"),
]


@pytest.mark.parametrize(("doctor", "rule"), WRONG)
def test_what_is_wrong_is_found(doctor: Callable[[Evidence], Evidence], rule: str) -> None:
    case = make_case()
    assert rule in rules(replace(case, evidence=doctor(case.evidence)))


def told(*answers: Answer, verb: Verb = Verb.CREATE, amount: int | None = None) -> Case:
    """The same case with one call that was answered so."""
    return replace(make_case(), calls=(Call(verb, 0, "key", "", amount, list(answers)),))


def test_two_payments_under_one_key_are_found() -> None:
    another = render_id(Prefix.PAYMENT, UUID(int=9))
    found = rules(told(Answer(SHOWN, "COMPLETED"), Answer(another, "COMPLETED")))
    assert "key_made_several" in found
    unsent = rules(told(Answer(another, "FAILED", "PROCESSOR_UNAVAILABLE"), Answer(SHOWN, "COMPLETED")))
    assert "key_made_several" not in unsent


def test_a_refund_that_was_promised_and_not_made_is_found() -> None:
    promised = told(Answer(SHOWN_REFUND, "COMPLETED"), verb=Verb.REFUND, amount=500)
    assert rules(promised) == set()
    refund = replace(promised.evidence.transactions[1], state="FAILED")
    failed = replace(promised.evidence, transactions=(refund,))
    assert "answer_broken" in rules(replace(promised, evidence=failed))
    later = replace(failed, transactions=(replace(refund, failure="REFUND_FAILED"),))
    assert "answer_broken" not in rules(replace(promised, evidence=later))
    assert "another_amount" in rules(told(Answer(SHOWN_REFUND, "COMPLETED"), verb=Verb.REFUND, amount=501))


def test_a_defect_that_a_client_saw_is_found() -> None:
    assert "internal_error" in rules(told(Answer(reason="INTERNAL")))


def test_work_past_kassa_explains_that_people_were_told() -> None:
    case = make_case()
    evidence = with_row("attention", AttentionRow(PAYMENT, CHARGE, "ExternalRefund", ""))(case.evidence)
    assert rules(replace(case, evidence=evidence, elsewhere=frozenset({PAYMENT}))) == set()


@pytest.mark.parametrize(("state", "found"), [("requires_action", False), ("processing", False), ("succeeded", True)])
def test_what_waits_must_have_somebody_to_wait_for(state: str, found: bool) -> None:
    case = make_case()
    waiting = TransactionRow(CHARGE, PAYMENT, "AUTHORIZATION", "PENDING", 1999, True, "", "", "")
    entry = BookEntry("pi_1", PAYMENT, CHARGE, state, "USD", 0, 0, 0, False, ())
    payment = replace(case.evidence.payments[0], state="PENDING", captured=0, refunded=0)
    evidence = replace(
        case.evidence,
        payments=(payment,),
        transactions=(waiting,),
        booked=(),
        books=(entry,),
        events=(EventRow(PAYMENT, CHARGE, "payment.pending"),),
    )
    answered = Call(Verb.CREATE, 0, "key", "", None, [Answer(SHOWN, "PENDING")])
    assert ("waits_for_nobody" in rules(replace(case, evidence=evidence, calls=(answered,)))) is found
