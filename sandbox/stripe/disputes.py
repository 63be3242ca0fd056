"""Disputes: they arrive by test card or by command, and end by evidence, acceptance or command.

https://docs.stripe.com/api/disputes, https://docs.stripe.com/testing#evidence
"""

from collections.abc import Callable
from typing import Final

from sandbox.stripe import balance, charging, objects
from sandbox.stripe.context import Call, Context, Json, new_id, now
from sandbox.stripe.errors import missing, refused
from sandbox.stripe.params import words
from sandbox.stripe.records import Charge, Dispute

REASONS: Final = ("fraudulent", "product_not_received", "duplicate", "general", "unrecognized")
_VERDICTS: Final = {"winning_evidence": "won", "losing_evidence": "lost"}
_SUBMITTED: Final = {"needs_response": "under_review", "warning_needs_response": "warning_under_review"}
"""What takes evidence, to what it becomes by it."""
FIELDS: Final = words("evidence submit metadata expand")
_ENDED: Final = ("won", "lost", "warning_closed")


def register(context: Context) -> None:
    """Tells the agenda how disputes arrive by themselves."""
    for reason in (*REASONS, "inquiry"):
        context.agenda.on(f"{charging.OPEN_DISPUTE}.{reason}", _opener(context, reason))


def _opener(context: Context, reason: str) -> Callable[[str, str], None]:
    def do(account: str, intent_id: str) -> None:
        intent = context.books.intents.get(account, intent_id)
        charge = context.books.charges.get(account, intent.latest_charge or "") if intent else None
        if charge and charge.captured and not charge.dispute:
            open_dispute(context, charge, reason)

    return do


def open_dispute(context: Context, charge: Charge, reason: str, amount: int | None = None) -> Dispute:
    """The cardholder disputes a charge: `amount`, or all of it, leaves the balance at once, save for an inquiry.

    Raises:
        StripeError: 400, it is not captured or is disputed already.
    """
    if not charge.captured or charge.dispute:
        raise refused(f"Charge {charge.id} cannot be disputed.", charge=charge.id)
    inquiry = reason == "inquiry"
    dispute = Dispute(
        account=charge.account,
        id=new_id("dp"),
        created=now(),
        charge=charge.id,
        payment_intent=charge.payment_intent,
        amount=charge.amount_captured if amount is None else amount,
        currency=charge.currency,
        reason="fraudulent" if inquiry else reason,
        status="warning_needs_response" if inquiry else "needs_response",
        withdrawn=False,
    )
    charge.dispute = dispute.id
    context.books.charges.put(charge)
    context.books.disputes.put(dispute)
    if not inquiry:
        _withdraw(context, dispute)
    _publish(context, dispute, "charge.dispute.created")
    if dispute.withdrawn:
        _publish(context, dispute, "charge.dispute.funds_withdrawn")
    return dispute


def escalate(context: Context, dispute: Dispute) -> None:
    """The bank turns its inquiry into a dispute: now the money is withdrawn.

    Raises:
        StripeError: 400, it is no inquiry, or has ended.
    """
    if dispute.withdrawn or dispute.status in _ENDED:
        raise refused(f"This dispute cannot be escalated: {dispute.status}", param="dispute")
    dispute.status = "needs_response"
    _withdraw(context, dispute)
    _publish(context, dispute, "charge.dispute.updated")
    _publish(context, dispute, "charge.dispute.funds_withdrawn")


def close_dispute(context: Context, dispute: Dispute, status: str) -> None:
    """Ends a dispute as `won` or `lost`, an inquiry as `warning_closed`.

    Raises:
        StripeError: 400, it has ended already, or cannot end so.
    """
    if dispute.status in _ENDED:
        raise refused(f"This dispute is already closed: {dispute.status}", param="dispute")
    if dispute.withdrawn == (status == "warning_closed"):
        raise refused(f"This dispute is {dispute.status} and cannot become {status}.", param="dispute")
    dispute.status = status
    returned = status == "won"
    if returned:
        movement = balance.book_dispute(context, _charge(context, dispute), dispute, won=True)
        dispute.balance_transactions.append(movement)
    context.books.disputes.put(dispute)
    _publish(context, dispute, "charge.dispute.closed")
    if returned:
        _publish(context, dispute, "charge.dispute.funds_reinstated")


def find(context: Context, account: str, key: str) -> Dispute:
    """The account's dispute with that id.

    Raises:
        StripeError: 404.
    """
    dispute = context.books.disputes.get(account, key)
    if dispute is None:
        raise missing("dispute", key, "dispute")
    return dispute


def retrieve(context: Context, call: Call) -> Json:
    """GET /v1/disputes/{id}"""
    return objects.dispute(context, find(context, call.account.id, call.path["id"]))


def update(context: Context, call: Call) -> Json:
    """POST /v1/disputes/{id}: evidence, which decides it when it is one of the published test texts."""
    call.params.allow(FIELDS)
    dispute = find(context, call.account.id, call.path["id"])
    told = call.params.hash("evidence")
    told.allow(frozenset(objects.EVIDENCE))
    if told.values and dispute.status not in _SUBMITTED:
        raise refused(f"This dispute takes no evidence: {dispute.status}", param="evidence")
    dispute.evidence |= {name: told.text(name) for name in told.values}
    context.books.disputes.put(dispute)
    if told.values and call.params.boolean("submit", default=True):
        _submit(context, dispute)
    return objects.dispute(context, dispute)


def close(context: Context, call: Call) -> Json:
    """POST /v1/disputes/{id}/close: the merchant accepts it as lost."""
    dispute = find(context, call.account.id, call.path["id"])
    close_dispute(context, dispute, "lost")
    return objects.dispute(context, dispute)


def _submit(context: Context, dispute: Dispute) -> None:
    dispute.submissions += 1
    verdict = _VERDICTS.get(dispute.evidence.get("uncategorized_text", ""))
    if verdict:
        close_dispute(context, dispute, verdict if dispute.withdrawn else "warning_closed")
        return
    dispute.status = _SUBMITTED[dispute.status]
    context.books.disputes.put(dispute)
    _publish(context, dispute, "charge.dispute.updated")


def _withdraw(context: Context, dispute: Dispute) -> None:
    dispute.withdrawn = True
    movement = balance.book_dispute(context, _charge(context, dispute), dispute, won=False)
    dispute.balance_transactions.append(movement)
    context.books.disputes.put(dispute)


def _charge(context: Context, dispute: Dispute) -> Charge:
    charge = context.books.charges.get(dispute.account, dispute.charge)
    assert charge is not None
    return charge


def _publish(context: Context, dispute: Dispute, event: str) -> None:
    context.publish(dispute.account, event, objects.dispute(context, dispute))
