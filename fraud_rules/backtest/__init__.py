"""Backtests: a ruleset judged over payments of the past, with what was known when each was made.

report = run_backtest(source_of(Path("payments.csv")), load_ruleset("new.yaml"), load_ruleset("live.yaml"), progress)
to_page(report), to_markdown(report), to_json(report)
"""

from fraud_rules.backtest.as_json import to_json
from fraud_rules.backtest.gates import Gates
from fraud_rules.backtest.markdown import to_markdown
from fraud_rules.backtest.page import to_page
from fraud_rules.backtest.payments import DataError, Label, Payment
from fraud_rules.backtest.reading import source_of
from fraud_rules.backtest.report import Report
from fraud_rules.backtest.run import run_backtest
from fraud_rules.backtest.sources import Opened, Progress, Source

__all__ = [
    "DataError",
    "Gates",
    "Label",
    "Opened",
    "Payment",
    "Progress",
    "Report",
    "Source",
    "run_backtest",
    "source_of",
    "to_json",
    "to_markdown",
    "to_page",
]
