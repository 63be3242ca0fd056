"""Replays what the Dockerfile does, without a container engine: its own commands and copies, in a clean folder.

`make image-check` runs it; it takes a minute, so the suite does not. Only the system's packages are left out.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PREFIX = "/opt/kassa"


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yields instruction and arguments, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, arguments = line.strip().partition(" ")
        yield name, arguments.strip()


def stages(text: str) -> list[list[tuple[str, str]]]:
    """Splits the file at its FROM lines."""
    found: list[list[tuple[str, str]]] = []
    for name, arguments in instructions(text):
        if name == "FROM":
            found.append([])
        else:
            found[-1].append((name, arguments))
    return found


def build(stage: list[tuple[str, str]], source: Path, prefix: Path, environment: dict[str, str]) -> None:
    """Carries out COPY and RUN, with `prefix` in the place of /opt/kassa."""
    for name, arguments in stage:
        if name == "COPY":
            *origins, target = shlex.split(arguments)
            for origin in origins:
                copy(REPOSITORY / origin, source / target)
        elif name == "RUN" and "apt-get" not in arguments:
            command = arguments.replace(PREFIX, str(prefix)).replace("python -m", f"{sys.executable} -m", 1)
            print(f"RUN {command}", flush=True)
            subprocess.run(["sh", "-ec", command], cwd=source, env=environment, check=True)


def copy(origin: Path, target: Path) -> None:
    """Copies as the image's build would, leaving out what .dockerignore keeps from it."""
    if origin.is_dir():
        shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        shutil.copy(origin, target)


def check(stage: list[tuple[str, str]], prefix: Path, environment: dict[str, str]) -> None:
    """Runs what the image and docker-compose.yml start, far enough to see that nothing is missing."""
    python = prefix / "bin" / "python"
    (health,) = (arguments for name, arguments in stage if name == "HEALTHCHECK")
    code = shlex.split(health[health.index("[") + 1 : health.rindex("]")].replace(",", " ", 2))[2]
    compile(code, "HEALTHCHECK", "exec")
    commands: tuple[list[str | Path], ...] = (
        [prefix / "bin" / "kassa", "--help"],
        [prefix / "bin" / "kassa", "rules", "check"],
        [python, "-m", "sandbox.serve", "--help"],
        [python, "-c", "import server.bootstrap, grpc_health.v1.health_pb2_grpc, server.storage.migrations"],
    )
    for command in commands:
        subprocess.run(command, cwd="/", env=environment, check=True, stdout=subprocess.DEVNULL)
    seen = subprocess.run(
        [python, "-c", "import server; print(server.__file__)"],
        cwd="/",
        env=environment,
        capture_output=True,
        check=True,
    )
    if not seen.stdout.decode().startswith(str(prefix)):
        raise SystemExit(f"the image would import the server from {seen.stdout.decode()}")


def main() -> None:
    """Builds and checks; any failure ends with a traceback and a non-zero exit code."""
    first, last = stages((REPOSITORY / "Dockerfile").read_text(encoding="utf-8"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    with tempfile.TemporaryDirectory(prefix="kassa-image-") as folder:
        source, prefix = Path(folder, "src"), Path(folder, "opt")
        source.mkdir()
        build(first, source, prefix, environment)
        check(last, prefix, environment)
    print("The image's installation is complete.")


if __name__ == "__main__":
    main()
