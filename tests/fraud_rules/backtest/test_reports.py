"""What is shown of a backtest: page, Markdown, JSON and terminal say the same, and nothing of a file becomes markup."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fraud_rules.backtest import Gates, Report, to_json, to_markdown, to_page
from fraud_rules.backtest.charts import nice
from fraud_rules.backtest.report import Sum, Sums
from fraud_rules.backtest.terminal import show_report
from fraud_rules.backtest.wording import caveats, dollars, percent
from tests.fraud_rules.backtest.datafiles import judge, row, write_csv
from tests.fraud_rules.rulefiles import rule, ruleset_text

EVIL = "</style></svg><script>alert(1)</script>\"'><img src=x onerror=a>&amp;\u202e[x](javascript:y)|`"
RULES = ruleset_text(
    rule("often", 'count("payments", by="card", within="1h") >= 2', "action: block"),
    rule("abroad", 'ip_country == "NG"', "score: 0.6"),
    rule("watch", "amount > 20_000", "score: 0.1\n    mode: shadow"),
    rule("never", "amount < 0"),
)
LIVE = ruleset_text(rule("abroad", 'ip_country == "NG"', "action: block"), rule("gone", "amount < 0"))
PLACES = ("NG", "US")
LABELS = ("fraud", "legit", "")
ROWS = [
    row(
        n * 1_000,
        card="b" if n % 3 == 0 else "a",
        label=LABELS[n // 2 % 3],
        amount=n * 900,
        ip_country=PLACES[n % 7 > 0],
    )
    for n in range(200)
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("report")
    return judge(folder, write_csv(folder, ROWS), RULES, LIVE)


def hostile(report: Report) -> Report:
    """The same with texts that a malicious file could bring wherever a text can stand."""
    rules = tuple(replace(one, why=EVIL) for one in report.ruleset.rules)
    ruleset = replace(report.ruleset, rules=rules)
    return replace(report, source=EVIL, notes=(EVIL,), ruleset=ruleset)


class Tags(HTMLParser):
    """Collects what a browser would see as elements, and checks that they are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def test_the_page_is_whole_and_asks_nothing_of_the_network(report: Report) -> None:
    page = to_page(report)
    tags = parsed(page)
    assert "script" not in tags.seen and "img" not in tags.seen and "link" not in tags.seen
    assert tags.attributes.isdisjoint({"src", "href"})
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page and "width=device-width" in page
    assert page.count("<svg") == 4


def test_hostile_texts_stay_texts(report: Report) -> None:
    plain, evil = parsed(to_page(report)), to_page(hostile(report))
    tags = parsed(evil)
    assert tags.seen == plain.seen
    assert tags.attributes == plain.attributes
    assert "\u202e" not in evil
    assert evil.count("alert(1)") >= 5  # shown as it is


def test_markdown_is_not_taken_over_by_a_text(report: Report) -> None:
    text = to_markdown(hostile(report))
    assert set(re.findall(r"(?<!\\)<[^>]*>", text)) <= {"<details>", "<summary>", "</summary>", "</details>"}
    assert not re.search(r"(?<!\\)\]\(", text)
    assert not re.search(r"(?<!\\)\$", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) in {5, 6, 9} for line in rows)


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d[\d,.]*\d|\d", text))


def test_all_forms_say_the_same(report: Report) -> None:
    blocked = report.ruleset.rules[0]
    terminal = StringIO()
    show_report(Console(file=terminal, width=200), report)
    forms = (to_page(report), to_markdown(report).replace("\\", ""), terminal.getvalue())
    for text in forms:
        for rule_ in report.ruleset.rules:
            assert rule_.id in text
        assert f"{blocked.hits.all.count:,}" in numbers(text)
        assert dollars(blocked.hits.legit.cents) in text
        assert percent(blocked.hits.precision) in text
    read = json.loads(to_json(report))
    assert read["ruleset"]["rules"][0]["hits"]["all"]["count"] == blocked.hits.all.count
    assert read["ruleset"]["rules"][0]["precision"] == blocked.hits.precision
    assert (read["removed_rules"], read["ruleset"]["rules"][1]["change"]) == (["gone"], "changed")
    assert sum(one["payments"]["all"]["count"] for one in read["changes"]) == len(ROWS)


def test_what_is_not_known_is_said(report: Report) -> None:
    payments = report.payments
    [unlabelled] = [one for one in caveats(report) if "have no label" in one]
    assert unlabelled.startswith(f"{payments.unlabelled.count} payments (33.0 %)")
    told = replace(report, missing=("ip", "device"), without_rate=2, blocked_then=Sums(unlabelled=Sum(3, 1)))
    text = " ".join(caveats(told))
    assert "lacks ip and device" in text and "2 payments are in currencies" in text and "of 3 of them nobody" in text


def test_a_report_of_nothing_can_be_shown(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "payments.csv"
    path.write_text("time,amount,currency\n")
    empty = judge(tmp_path, path, RULES)
    assert parsed(to_page(empty)) and to_markdown(empty) and json.loads(to_json(empty))
    show_report(Console(file=StringIO()), empty)


def test_years_of_days_are_put_together(tmp_path: Path) -> None:
    rows = [row(day * 86_400, label="fraud") for day in range(0, 800, 5)]
    page = to_page(judge(tmp_path, write_csv(tmp_path, rows), RULES))
    assert "8 days from 2026-03-01" in page
    assert page.count('class="aim"') <= 100


@pytest.mark.parametrize(
    ("cents", "written"),
    [(0, "$0"), (95_000, "$950"), (999_949, "$9,999"), (1_234_500, "$12.3k"), (99_999_000, "$1.00M"), (-500, "-$5")],
)
def test_money_is_written_for_people(cents: int, written: str) -> None:
    assert dollars(cents) == written


def test_shares_keep_what_is_small() -> None:
    assert [percent(part) for part in (None, 0, 0.0004, 0.25, 1.0)] == ["n/a", "0.0 %", "0.04 %", "25.0 %", "100.0 %"]


def test_scales_end_above_what_they_show() -> None:
    assert [nice(cents) for cents in (0, 100, 101, 5_000, 5_001, 10**12)] == [100, 100, 200, 5_000, 10_000, 10**12]


def gates() -> Iterator[tuple[Gates, int]]:
    yield Gates(), 0
    yield Gates(min_precision=0.3, min_recall=0.0, max_good_blocked=1.0), 0
    yield Gates(min_precision=1.0), 1
    yield Gates(min_recall=1.0, max_good_blocked=0.0), 2


@pytest.mark.parametrize(("limits", "missed"), list(gates()))
def test_limits_that_are_not_kept_are_named(report: Report, limits: Gates, missed: int) -> None:
    assert len(list(limits.missed(report))) == missed


def test_what_cannot_be_known_keeps_no_limit(tmp_path: Path) -> None:
    unlabelled = judge(tmp_path, write_csv(tmp_path, [row(0)]), RULES)
    assert len(list(Gates(0.1, 0.1, 0.9).missed(unlabelled))) == 3
