"""Killed at any step of any operation: no payment is lost, none is charged twice, nothing is stuck."""

import re
from pathlib import Path

import pytest

import server.bootstrap  # noqa: F401 - what it imports registers every point
from server.crash_points import all_points
from tests.acceptance.crash_matrix import DOCUMENT, render, run, stack
from tests.acceptance.crash_scenarios import SCENARIOS

COMPARED = ("read_totals.",)
"""Only compares books: nothing durable comes before, a note to people at most comes after, and it is done again."""


def published() -> dict[str, list[str]]:
    """The points of each scenario, as the committed page lists them."""
    sections = DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]
    return {one.splitlines()[0]: re.findall(r"^\| `([^`]+)`", one, re.MULTILINE) for one in sections}


def test_the_published_matrix_has_every_scenario() -> None:
    assert [name.lower() for name in published()] == [scenario.name.lower() for scenario in SCENARIOS]


def test_every_point_of_the_code_is_reached_by_a_scenario() -> None:
    """A new step is in nobody's way until it is crashed, too: give it a scenario, and run `make crash-matrix`."""
    reached = {point for points in published().values() for point in points}
    expected = {point for point in all_points() if not point.startswith(COMPARED)}
    assert reached == expected


@pytest.mark.xdist_group("crash-matrix")
def test_every_cell_ends_in_the_truth_and_the_page_says_so(tmp_path: Path) -> None:
    with stack(tmp_path) as running:
        rows = run(running)
    assert render(rows) == DOCUMENT.read_text(encoding="utf-8")
