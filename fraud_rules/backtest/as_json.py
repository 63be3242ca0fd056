"""The report as JSON, for programs. Called by the command line."""

import json
from typing import Any

from fraud_rules.backtest.report import Report, RuleResult, RulesetResult, Sum, Sums, share
from fraud_rules.backtest.wording import caveats, recall


def to_json(report: Report) -> str:
    """Writes everything that a report holds; money is in US cents, shares are 0 to 1, scores thousandths."""
    return json.dumps(
        {
            "source": report.source,
            "first": report.first.isoformat() if report.first else None,
            "last": report.last.isoformat() if report.last else None,
            "seconds": round(report.seconds, 3),
            "payments": _sums(report.payments),
            "without_rate": report.without_rate,
            "blocked_then": _sums(report.blocked_then),
            "ruleset": _ruleset(report.ruleset, report),
            "live": _ruleset(report.live, report) if report.live else None,
            "changes": [
                {"before": one.before, "after": one.after, "payments": _sums(one.payments)} for one in report.changes
            ],
            "removed_rules": report.removed,
            "days": [
                {
                    "day": day.day.isoformat(),
                    "outcomes": {outcome: _sums(sums) for outcome, sums in day.outcomes.items()},
                    "live": {outcome: _sums(sums) for outcome, sums in day.live.items()},
                }
                for day in report.days
            ],
            "missing_facts": report.missing,
            "caveats": list(caveats(report)),
        },
        indent=2,
    )


def _ruleset(result: RulesetResult, report: Report) -> dict[str, Any]:
    blocked = report.payments.fraud.count
    return {
        "name": result.name,
        "hash": result.hash,
        "thresholds": dict(result.thresholds),
        "outcomes": {
            outcome: {**_sums(sums), "recall": share(sums.fraud.count, blocked)}
            for outcome, sums in result.outcomes.items()
        },
        "rules": [_rule(rule, report) for rule in result.rules],
        "overlap": [{"rules": pair, "payments": count} for pair, count in result.overlap.items()],
        "scores": [
            {"score": row.score_thousandths, "settled": row.settled, "payments": _sums(row.payments)}
            for row in result.scores
        ],
        "block_thresholds": [
            {
                "threshold": point.block_thousandths,
                **_sums(point.blocked),
                "recall": share(point.blocked.fraud.count, blocked),
            }
            for point in result.curve
        ],
    }


def _rule(rule: RuleResult, report: Report) -> dict[str, Any]:
    return {
        "id": rule.id,
        "effect": rule.effect,
        "mode": rule.mode,
        "change": rule.change or None,
        "hits": _sums(rule.hits),
        "unique": _sums(rule.unique),
        "precision": rule.hits.precision,
        "recall": recall(rule, report),
    }


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "all": _sum(sums.all),
        "fraud": _sum(sums.fraud),
        "legit": _sum(sums.legit),
        "unlabelled": _sum(sums.unlabelled),
        "precision": sums.precision,
    }


def _sum(sum_: Sum) -> dict[str, int]:
    return {"count": sum_.count, "cents": sum_.cents}
