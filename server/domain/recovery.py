"""How long recovery pauses before it asks again; read by `storage.settle` and by the jobs."""

from datetime import timedelta

from server.domain.payment import Transaction, TransactionState

UNRESOLVED_AFTER = timedelta(hours=1)
"""After this people are told of a transaction whose fate the processor does not tell; it is asked on all the same."""

_FIRST_PAUSE_S = {"UNKNOWN": 1.0, "WAITING": 15.0}
_LONGEST_PAUSE_S = {"UNKNOWN": 300.0, "WAITING": 3600.0}


def pause_s(transaction: Transaction) -> float:
    """Returns the seconds until an open transaction is looked at again; doubles with each attempt."""
    kind = "UNKNOWN" if transaction.state is TransactionState.UNKNOWN else "WAITING"
    doubled: float = _FIRST_PAUSE_S[kind] * 2.0 ** min(transaction.attempts, 12)
    return min(doubled, _LONGEST_PAUSE_S[kind])
