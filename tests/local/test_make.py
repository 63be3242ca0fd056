"""`make setup` says what is wrong before it does anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-server.lock")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    (tmp_path / "clients/python").mkdir(parents=True)
    shutil.copy(REPOSITORY / "clients/python/pyproject.toml", tmp_path / "clients/python")
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=checkout, capture_output=True, text=True, check=False)


def make_python(folder: Path, major: int, minor: int) -> Path:
    """A stand-in that answers as Python of that version, and refuses to make a virtual environment."""
    python = folder / "python"
    supported = major == 3 and minor in (11, 12)
    python.write_text(
        f'#!/bin/sh\ncase "$1" in\n-c) exit {0 if supported else 1};;\n'
        f'--version) echo "Python {major}.{minor}.0";;\n-m) echo "asked for $2" >&2; exit 1;;\nesac\n'
    )
    python.chmod(0o755)
    return python


@pytest.mark.parametrize(("major", "minor"), [(3, 10), (3, 13), (2, 7)])
def test_another_python_is_refused_in_words(checkout: Path, major: int, minor: int) -> None:
    done = make(checkout, "setup", f"PYTHON={make_python(checkout, major, minor)}")
    assert done.returncode != 0
    assert "Kassa needs Python 3.11 or 3.12" in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("minor", [11, 12])
def test_a_python_without_venv_is_told_apart(checkout: Path, minor: int) -> None:
    done = make(checkout, "setup", f"PYTHON={make_python(checkout, 3, minor)}")
    assert done.returncode != 0
    assert "asked for venv" in done.stderr
    assert "-venv package" in done.stderr


def test_help_names_the_two_commands_of_the_readme(checkout: Path) -> None:
    help_text = make(checkout).stdout
    assert "make run" in help_text
    assert "make test" in help_text


def test_what_is_up_to_date_is_left_alone(checkout: Path) -> None:
    stamp = checkout / ".venv/.installed"
    stamp.parent.mkdir()
    stamp.write_text(str(checkout))
    assert "Nothing to be done" in make(checkout, "setup").stdout


@pytest.mark.parametrize("name", LOCKS)
def test_locks_pin_by_hash_and_name_no_index(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    blocks = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert blocks
    assert all("==" in line for line in blocks)
    assert text.count("--hash=sha256:") >= len(blocks)


def test_the_image_gets_the_versions_that_the_tests_ran_with() -> None:
    full, server = (
        {line.split(" ")[0] for line in (REPOSITORY / name).read_text().splitlines() if "==" in line.split(" ")[0]}
        for name in LOCKS
    )
    assert server < full
