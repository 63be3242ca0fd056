"""Charts are drawings that stand by themselves and keep their proportions."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.chart import Element, bars, lines, nice, write


def widths(chart: Element) -> list[float]:
    return [float(rect.get("width", "0")) for rect in chart.iter("rect") if rect.find("title") is not None]


def test_bars_are_as_long_as_their_values() -> None:
    one, two = widths(bars("Rates", {"a": {"x": 100.0}, "b": {"x": 50.0}}, "/s"))
    assert 400 < one < 600
    assert one == pytest.approx(2 * two, abs=0.02)


def test_parts_of_a_bar_add_up() -> None:
    whole = bars("Costs", {"a": {"server": 1.0, "postgres": 3.0}, "b": {"server": 4.0}}, "ms")
    server, postgres, other = widths(whole)
    assert server + postgres == pytest.approx(other, abs=0.02)


def test_lines_leave_out_what_is_missing() -> None:
    chart = lines("Clients", ["1", "8", "64"], {"gRPC": [10.0, None, 40.0], "REST": [0.0, 20.0, 50.0]}, "/s", "clients")
    points = [len((line.get("points") or "").split()) for line in chart.iter("polyline")]
    assert points == [2, 3]
    heights = [float(circle.get("cy", "0")) for circle in chart.iter("circle")]
    assert min(heights) == heights[-1] == 280.0 - 220.0
    assert heights[2] == 280.0


def test_nothing_measured_is_still_a_chart() -> None:
    assert widths(bars("Rates", {}, "/s")) == []
    assert lines("Clients", [], {}, "/s") is not None


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.7, 0.8), (1, 1), (1.1, 1.2), (23, 24), (2030, 2400), (999, 1000), (1000, 1000)]
)
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert nice(value) == pytest.approx(top)


def test_a_drawing_stands_by_itself(tmp_path: Path) -> None:
    charts = [bars("A <title>", {"a": {"x": 1.0}}, "ms"), bars("B", {"b": {"x": 1.0}}, "ms")]
    write(tmp_path / "all.svg", "Both", charts)
    root = ElementTree.parse(tmp_path / "all.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    first, second = (one for one in root if one.tag.endswith("}svg"))
    assert float(second.get("y", "0")) >= float(first.get("y", "0")) + float(first.get("height", "0"))
    write(tmp_path / "all.html", "Both", charts)
    page = (tmp_path / "all.html").read_text()
    assert "A &lt;title&gt;" in page
    assert "src=" not in page and "href=" not in page


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="svg"):
        write(tmp_path / "all.png", "Both", [])
