"""Judges a seed: what Kassa promises, held against what stands on both sides and what clients were told. Pure.

Each check is a generator of findings; none means that the promise was kept.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sandbox.simulator.evidence import BookEntry, Evidence, PaymentRow, TransactionRow
from sandbox.simulator.told import UNAVAILABLE, Answer, Call, Verb
from server.domain.ids import Prefix, parse_id

_KEPT_FUNDS: Final = frozenset({"COMPLETED", "REFUNDED"})
_NEVER_TAKEN: Final = frozenset({"FAILED", "CANCELLED"})
_WAITS_FOR_CUSTOMER: Final = frozenset({"requires_action", "CREATED", "PAYER_ACTION_REQUIRED"})
_WAITS_FOR_BANK: Final = frozenset({"processing"})
_AFTER: Final = {
    "PROCESSING": frozenset({"PENDING", "AUTHORIZED", "COMPLETED", "REFUNDED", "FAILED", "CANCELLED", "IN_REVIEW"}),
    "PENDING": frozenset({"PENDING", "AUTHORIZED", "COMPLETED", "REFUNDED", "FAILED", "CANCELLED", "IN_REVIEW"}),
    "IN_REVIEW": frozenset({"IN_REVIEW", "AUTHORIZED", "COMPLETED", "REFUNDED", "CANCELLED"}),
    "AUTHORIZED": frozenset({"AUTHORIZED", "COMPLETED", "REFUNDED", "CANCELLED"}),
    "COMPLETED": frozenset({"COMPLETED", "REFUNDED"}),
    "REFUNDED": frozenset({"REFUNDED", "COMPLETED"}),
    "FAILED": frozenset({"FAILED"}),
    "CANCELLED": frozenset({"CANCELLED"}),
}
"""What a payment may be in the end that a client was told to be so."""
_EXPECTED_ATTENTION: Final = frozenset({"EXTERNAL_REFUND", "MADE_ELSEWHERE"})
_ONCE_FOR_STATE: Final = {
    "AUTHORIZED": "payment.authorized",
    "IN_REVIEW": "payment.in_review",
    "COMPLETED": "payment.completed",
    "REFUNDED": "payment.completed",
    "FAILED": "payment.failed",
    "CANCELLED": "payment.cancelled",
    "PENDING": "payment.pending",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A promise that was not kept: which, of what, and how."""

    rule: str
    subject: str
    detail: str


@dataclass(frozen=True)
class Case:
    """The evidence beside what clients know, indexed.

    Attributes:
        elsewhere: Payments that somebody touched past Kassa, UUIDs.
        merchants: The merchants' UUIDs by their number.
    """

    evidence: Evidence
    calls: tuple[Call, ...]
    elsewhere: frozenset[str]
    merchants: tuple[str, ...]

    @cached_property
    def payments(self) -> dict[str, PaymentRow]:
        """By id."""
        return {payment.id: payment for payment in self.evidence.payments}

    @cached_property
    def transactions(self) -> dict[str, list[TransactionRow]]:
        """By payment."""
        found: dict[str, list[TransactionRow]] = defaultdict(list)
        for transaction in self.evidence.transactions:
            found[transaction.payment_id].append(transaction)
        return found

    @cached_property
    def books(self) -> dict[str, list[BookEntry]]:
        """By payment; without fences, of which nobody ever asked for money."""
        found: dict[str, list[BookEntry]] = defaultdict(list)
        for entry in self.evidence.books:
            if not entry.fence:
                found[entry.payment_id].append(entry)
        return found


def judge(case: Case) -> list[Finding]:
    """Returns every promise that was not kept."""
    checks = (_books, _settled, _ledger, _drift, _events, _webhooks, _attention, _answers, _keys)
    return [finding for check in checks for finding in check(case)]


def _books(case: Case) -> Iterator[Finding]:
    """Both sides agree to the cent, and nobody was charged twice."""
    for payment_id, entries in case.books.items():
        if payment_id not in case.payments:
            yield Finding("unknown_charge", payment_id, f"the processor has {entries}, Kassa has no such payment")
        if len([entry for entry in entries if entry.captured or entry.capturable]) > 1:
            yield Finding("double_charge", payment_id, f"charged more than once: {entries}")
    for payment in case.payments.values():
        entries = case.books.get(payment.id, [])
        captured, refunded = sum(e.captured for e in entries), sum(e.refunded for e in entries)
        held = sum(e.capturable for e in entries)
        if payment.state in _NEVER_TAKEN:
            if captured != refunded or held:
                told = f"{payment.state}, and the processor has captured {captured}, refunded {refunded}, held {held}"
                yield Finding("money_not_given_back", payment.id, told)
        elif (captured, refunded) != (payment.captured, payment.refunded):
            told = f"Kassa {payment.state} {payment.captured} - {payment.refunded}, processor {captured} - {refunded}"
            yield Finding("books_differ", payment.id, told)
        if held and payment.state not in {"AUTHORIZED", "IN_REVIEW"} and payment.state not in _NEVER_TAKEN:
            yield Finding("funds_still_held", payment.id, f"{payment.state}, and {held} are held")
        if any(entry.currency != payment.currency for entry in entries):
            yield Finding("currency_differs", payment.id, f"{payment.currency}: {entries}")


def _settled(case: Case) -> Iterator[Finding]:
    """Nothing is unknown, and what waits has somebody to wait for."""
    for payment in case.payments.values():
        open_ones = [t for t in case.transactions.get(payment.id, []) if t.state in {"PENDING", "UNKNOWN"}]
        if payment.state == "PROCESSING":
            yield Finding("still_processing", payment.id, f"{open_ones}")
        for transaction in open_ones:
            if transaction.state == "UNKNOWN":
                yield Finding("still_unknown", payment.id, f"{transaction}")
            elif not _waits_for_somebody(transaction, case.books.get(payment.id, [])):
                told = f"{transaction}; the processor: {case.books.get(payment.id)}"
                yield Finding("waits_for_nobody", payment.id, told)
        refunding = sum(t.amount for t in open_ones if t.type == "REFUND" and not t.compensates)
        if payment.refunding != refunding:
            yield Finding("reservation_left", payment.id, f"{payment.refunding} reserved, {refunding} under way")
        if payment.state == "PENDING" and not open_ones:
            yield Finding("pending_without_transaction", payment.id, "nothing of it is open")


def _waits_for_somebody(transaction: TransactionRow, entries: Iterable[BookEntry]) -> bool:
    if not transaction.waiting:
        return False
    if transaction.type == "REFUND":
        refunds = (refund for entry in entries for refund in entry.refunds)
        return any(refund.reference == transaction.id and refund.state == "pending" for refund in refunds)
    return any(
        entry.state in _WAITS_FOR_CUSTOMER | _WAITS_FOR_BANK for entry in entries if entry.reference == transaction.id
    )


def _ledger(case: Case) -> Iterator[Finding]:
    """Every journal sums to zero, and the journals explain the payments' amounts."""
    for journal in case.evidence.unbalanced:
        yield Finding("journal_unbalanced", journal, "its entries do not sum to zero")
    accounts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in case.evidence.booked:
        accounts[row.payment_id][row.account] += row.amount
        if row.payment_id in case.payments and row.currency != case.payments[row.payment_id].currency:
            yield Finding("ledger_currency", row.payment_id, f"{row}")
    for payment in case.payments.values():
        fees = sum(entry.fees for entry in case.books.get(payment.id, []))
        explained = {
            "merchant_payable": -payment.captured,
            "refunds": payment.refunded,
            "fees": fees,
            "processor_receivable": payment.captured - payment.refunded - fees,
        }
        stands = accounts[payment.id]
        if any(stands[name] != explained.get(name, 0) for name in stands.keys() | explained.keys()):
            yield Finding("ledger_differs", payment.id, f"the ledger has {dict(stands)}, it must be {explained}")


def _drift(case: Case) -> Iterator[Finding]:
    """The gateway's own checks, which never rest, have found nothing either."""
    for row in case.evidence.drift:
        yield Finding("books_drift", row.payment_id, f"{row.check}: {row.detail}")


def _events(case: Case) -> Iterator[Finding]:
    """The merchant is told of every change of state, once."""
    told: Counter[tuple[str, str]] = Counter()
    of_refunds: Counter[tuple[str, str]] = Counter()
    for event in case.evidence.events:
        if event.type.startswith("refund."):
            of_refunds[event.transaction_id, event.type] += 1
        else:
            told[event.payment_id, event.type] += 1
    for (subject, kind), count in (*told.items(), *of_refunds.items()):
        if count > 1:
            yield Finding("event_repeated", subject, f"{count} times {kind}")
    for payment in case.payments.values():
        wanted = _ONCE_FOR_STATE.get(payment.state)
        if wanted is not None and told[payment.id, wanted] == 0:
            yield Finding("event_missing", payment.id, f"{payment.state} without {wanted}")
    for transaction in case.evidence.transactions:
        if transaction.type != "REFUND" or transaction.compensates:
            continue
        done, failed = of_refunds[transaction.id, "refund.completed"], of_refunds[transaction.id, "refund.failed"]
        if transaction.state == "COMPLETED" and done == 0:
            yield Finding("event_missing", transaction.payment_id, f"{transaction} without refund.completed")
        if transaction.state in {"FAILED", "CANCELLED"} and failed == 0:
            yield Finding("event_missing", transaction.payment_id, f"{transaction} without refund.failed")


def _webhooks(case: Case) -> Iterator[Finding]:
    """Every webhook that a processor saw arrive is stored, and every stored one is handled."""
    if case.evidence.undelivered:
        yield Finding("webhooks_undelivered", "sandbox", f"{case.evidence.undelivered} wait for their 2xx")
    stored = {webhook.event_id for webhook in case.evidence.webhooks}
    for lost in sorted(case.evidence.delivered - stored):
        yield Finding("webhook_lost", lost, "answered with success and not stored")
    for webhook in case.evidence.webhooks:
        if not webhook.handled:
            yield Finding("webhook_unhandled", webhook.event_id, f"{webhook.type}: {webhook.result}")
        elif webhook.result == "UNKNOWN_PAYMENT":
            yield Finding("webhook_unknown_payment", webhook.event_id, webhook.type)


def _attention(case: Case) -> Iterator[Finding]:
    """People are called only where somebody has worked past Kassa."""
    for item in case.evidence.attention:
        if item.kind not in _EXPECTED_ATTENTION or item.payment_id not in case.elsewhere:
            yield Finding("unexpected_attention", item.payment_id, f"{item.kind}: {item.detail}")


def _answers(case: Case) -> Iterator[Finding]:
    """What a client was told still holds, or something later explains the change."""
    refunds = {t.id: t for t in case.evidence.transactions if t.type == "REFUND"}
    for call in case.calls:
        for answer in call.answers:
            if answer.reason == "INTERNAL":
                yield Finding("internal_error", call.key, f"{call.verb} was answered with INTERNAL")
            elif answer.id and call.verb is Verb.REFUND:
                yield from _refund_holds(call, answer, refunds.get(_uuid(Prefix.REFUND, answer.id)))
            elif answer.id:
                yield from _payment_holds(call, answer, case)


def _payment_holds(call: Call, answer: Answer, case: Case) -> Iterator[Finding]:
    payment = case.payments.get(_uuid(Prefix.PAYMENT, answer.id))
    if payment is None:
        yield Finding("acknowledged_and_lost", answer.id, f"{call.key}: {answer}")
    elif payment.state not in _AFTER[answer.state]:
        yield Finding("answer_broken", payment.id, f"{call.key} was told {answer}, and it is {payment.state}")
    elif payment.merchant_id != case.merchants[call.merchant]:
        yield Finding("payment_of_another", payment.id, f"{call.key} of merchant {call.merchant}")


def _refund_holds(call: Call, answer: Answer, refund: TransactionRow | None) -> Iterator[Finding]:
    if refund is None:
        yield Finding("acknowledged_and_lost", answer.id, f"{call.key}: {answer}")
    elif (answer.state == "FAILED" and refund.state != "FAILED") or (
        answer.state == "COMPLETED" and refund.state != "COMPLETED" and refund.failure != "REFUND_FAILED"
    ):
        yield Finding("answer_broken", refund.payment_id, f"{call.key} was told {answer}, and it is {refund}")
    elif call.amount is not None and refund.amount != call.amount:
        yield Finding("another_amount", refund.payment_id, f"{call.key} asked for {call.amount}: {refund}")


def _keys(case: Case) -> Iterator[Finding]:
    """One key makes one payment; it is free again only where nothing was sent."""
    for call in case.calls:
        given = [answer.id for answer in call.answers if answer.id and answer.reason != UNAVAILABLE]
        if call.verb in {Verb.CREATE, Verb.REFUND} and len(set(given)) > 1:
            yield Finding("key_made_several", call.key, f"{call.verb} under one key answered {sorted(set(given))}")
    for row in case.evidence.keys:
        payment = case.payments.get(row.payment_id)
        if payment is None:
            yield Finding("key_without_payment", row.key, f"it names {row.payment_id}")


def _uuid(prefix: Prefix, text: str) -> str:
    return str(parse_id(prefix, text, "id"))
