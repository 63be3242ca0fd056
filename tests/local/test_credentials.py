import base64
import json
import stat
from dataclasses import asdict
from pathlib import Path

from sandbox.local.credentials import load_or_make


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = load_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_make(path) == made
    assert len(set(asdict(made).values())) == len(asdict(made))


def test_two_stacks_share_no_secret(tmp_path: Path) -> None:
    first, second = (asdict(load_or_make(tmp_path / name)) for name in ("a.json", "b.json"))
    assert not set(first.values()) & set(second.values())


def test_a_file_of_an_older_version_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"secret_key": "kept"}))
    completed = load_or_make(path)
    assert completed.secret_key == "kept"
    assert json.loads(path.read_text()) == asdict(completed)


def test_the_encryption_key_has_32_bytes(tmp_path: Path) -> None:
    assert len(base64.b64decode(load_or_make(tmp_path / "secrets.json").encryption_key, validate=True)) == 32


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    made = load_or_make(tmp_path / "secrets.json")
    assert made.secret_key not in repr(made)
