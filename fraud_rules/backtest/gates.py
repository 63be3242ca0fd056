"""What a backtest must reach for a pull request to pass. Called by the command line."""

from collections.abc import Iterator
from dataclasses import dataclass

from fraud_rules.backtest.report import Report, share
from fraud_rules.backtest.wording import percent
from fraud_rules.decision import Outcome


@dataclass(frozen=True, slots=True)
class Gates:
    """Limits on what the new ruleset blocks, shares from 0 to 1; None is no limit.

    Attributes:
        min_precision: Least share of fraud among the labelled payments that are blocked.
        min_recall: Least share of all known fraud that is blocked.
        max_good_blocked: Greatest share of all good payments that is blocked.
    """

    min_precision: float | None = None
    min_recall: float | None = None
    max_good_blocked: float | None = None

    def missed(self, report: Report) -> Iterator[str]:
        """Yields a sentence for each limit that is not kept; what cannot be known keeps none."""
        blocked, payments = report.ruleset.of(Outcome.BLOCK), report.payments
        precision = blocked.precision
        recall = share(blocked.fraud.count, payments.fraud.count)
        good = share(blocked.legit.count, payments.legit.count)
        if self.min_precision is not None and (precision is None or precision < self.min_precision):
            yield f"Precision of blocks is {percent(precision)}; at least {percent(self.min_precision)} is asked for."
        if self.min_recall is not None and (recall is None or recall < self.min_recall):
            yield f"Recall of blocks is {percent(recall)}; at least {percent(self.min_recall)} is asked for."
        if self.max_good_blocked is not None and (good is None or good > self.max_good_blocked):
            yield f"{percent(good)} of good payments are blocked; at most {percent(self.max_good_blocked)} may be."
