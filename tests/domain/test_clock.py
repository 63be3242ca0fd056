"""The clock is right, or off by what its file says."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server import clock
from server.domain.ids import new_id


@pytest.fixture
def offset(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "offset"
    clock.mislead(path)
    yield path
    clock.mislead(None)


def test_it_is_right() -> None:
    assert abs(clock.utc_now() - datetime.now(UTC)) < timedelta(seconds=1)


@pytest.mark.parametrize("seconds", [-86_400, 3_600])
def test_it_is_off_by_what_the_file_says(offset: Path, seconds: int) -> None:
    offset.write_text(str(seconds), encoding="ascii")
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    assert abs(clock.utc_now() - now) < timedelta(seconds=1)
    made = datetime.fromtimestamp((new_id().int >> 80) / 1000, UTC)
    assert abs(made - now) < timedelta(seconds=1)


def test_without_the_file_it_is_right(offset: Path) -> None:
    assert abs(clock.utc_now() - datetime.now(UTC)) < timedelta(seconds=1)
