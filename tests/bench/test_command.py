"""`kassa bench` is the benchmark of this checkout, and says so where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import server.cli
from bench import guide
from bench.standard import Plan

KASSA = str(Path(sys.executable).with_name("kassa"))


def kassa(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([KASSA, "bench", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_it_is_found_from_any_folder(tmp_path: Path) -> None:
    done = kassa("--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("--quick", "--json", "--compare", "--chart", "--stored", "--guide"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--compare", "absent.json"), "no report"),
        (("--chart", "a.png"), "svg"),
        (("scale", "--axis", "clients,servers"), "no axis is called clients,servers"),
        (("scale", "--protocols", "grpc,soap"), "no protocol is called soap"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = kassa(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr


def test_without_the_folder_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.cli, "__file__", str(tmp_path / "server" / "cli.py"))
    done = CliRunner().invoke(server.cli.app, ["bench"])
    assert done.exit_code == 2
    assert "make bench" in done.output


def test_a_guide_that_is_not_there_is_skipped_with_a_word(tmp_path: Path) -> None:
    assert "no app.py" in guide.why_not(tmp_path)
    (tmp_path / "app.py").touch()
    assert guide.why_not(tmp_path) == ""


def test_quick_is_shorter() -> None:
    assert Plan(quick=True).seconds < Plan().seconds
