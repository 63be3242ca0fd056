"""The contracts of pyproject.toml bite: they find every import that the house forbids, and none in the house itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

TRESPASSES = {
    "server.domain.does_io": "import sqlalchemy",
    "server.domain.looks_up": "from server.usecases import create_payment",
    "server.usecases.knows_an_adapter": "import server.processors.stripe",
    "server.usecases.knows_grpc": "import grpc",
    "server.storage.knows_stubs": "import kassa.v1",
    "server.storage.looks_up": "import server.usecases",
    "server.jobs.knows_rpc": "import server.rpc",
    "server.jobs.knows_rules": "import fraud_rules",
    "server.processors.paypal.knows_stripe": "import server.processors.stripe",
    "server.rpc.knows_the_sandbox": "import sandbox",
    "server.room_without_a_layer": "",
    "fraud_rules.knows_the_server": "import server.domain",
    "kassa.knows_the_server": "import server.domain",
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter on the packages of a folder; contracts are printed with the imports that break them."""
    script = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as lint; lint()"
    return subprocess.run([sys.executable, "-P", "-c", script], cwd=folder, capture_output=True, text=True, check=False)


def copy_house(folder: Path) -> Path:
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for package in ("server", "fraud_rules", "sandbox", "clients/python/kassa"):
        shutil.copytree(REPOSITORY / package, folder / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    house = copy_house(tmp_path_factory.mktemp("house"))
    for module, line in TRESPASSES.items():
        (house / module.replace(".", "/")).with_suffix(".py").write_text(line + "\n")
    done = lint(house)
    assert done.returncode != 0
    return done.stdout[done.stdout.index("Broken contracts") :]


@pytest.mark.parametrize("module", TRESPASSES)
def test_a_trespass_is_found(complaints: str, module: str) -> None:
    assert module.rpartition(".")[2] in complaints


def test_the_house_keeps_its_contracts() -> None:
    done = lint(REPOSITORY)
    assert done.returncode == 0, done.stdout
