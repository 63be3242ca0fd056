"""Fraud rules: files that analysts write, and decisions on payments. `server.screening` is the only caller in Kassa.

ruleset = load_ruleset("fraud_rules/rules/default.yaml")
ruleset.velocity            # the windows over the past that its rules ask for
ruleset.decide({"amount": 1_200_000, "currency": "USD", "count_payments_by_customer_1h": 11})
"""

from fraud_rules.decision import CURRENCY_WITHOUT_RATE, SCREENING_FAILED, Backend, Decision, Outcome
from fraud_rules.errors import Problem, RulesError, Severity
from fraud_rules.facts import VOCABULARY, Facts
from fraud_rules.holder import Rejected, Reloaded, RulesetHolder
from fraud_rules.loading import Checked, check_sources, load_ruleset, load_sources
from fraud_rules.rates import Rates
from fraud_rules.ruleset import Ruleset, ScreeningFailure
from fraud_rules.runtime_lists import EMPTY, ListEntry, RuntimeLists
from fraud_rules.share import in_share
from fraud_rules.sources import DEFAULT_RULES, Sources, read_sources
from fraud_rules.velocity import Function, VelocityFact

__all__ = [
    "CURRENCY_WITHOUT_RATE",
    "DEFAULT_RULES",
    "EMPTY",
    "SCREENING_FAILED",
    "VOCABULARY",
    "Backend",
    "Checked",
    "Decision",
    "Facts",
    "Function",
    "ListEntry",
    "Outcome",
    "Problem",
    "Rates",
    "Rejected",
    "Reloaded",
    "RulesError",
    "Ruleset",
    "RulesetHolder",
    "RuntimeLists",
    "ScreeningFailure",
    "Severity",
    "Sources",
    "VelocityFact",
    "check_sources",
    "in_share",
    "load_ruleset",
    "load_sources",
    "read_sources",
]
