import os
import sys
from pathlib import Path

import pytest

from sandbox.local.supervisor import Part, PartFailed, Supervisor, run_to_end

# Makes the file named in its argument once it runs, and takes it away at its orderly end.
SERVICE = """
import pathlib, signal, sys
file = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: (file.unlink(), sys.exit(0)))
print("serves", flush=True)
file.write_text("")
while True: signal.pause()
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path / "log")


def service(tmp_path: Path, name: str) -> Part:
    file = tmp_path / name
    return Part(name, [sys.executable, "-c", SERVICE, str(file)], dict(os.environ), file.exists)


def failing(name: str, code: str, **how: float) -> Part:
    return Part(name, [sys.executable, "-c", code], dict(os.environ), lambda: False, **how)


def test_parts_start_and_stop(tmp_path: Path, supervisor: Supervisor) -> None:
    for name in ("one", "two"):
        supervisor.start(service(tmp_path, name))
        supervisor.wait_ready(name)
    stopped: list[str] = []
    supervisor.stop(stopped.append)
    assert stopped == ["two", "one"]
    assert not (tmp_path / "one").exists()
    assert supervisor.child("one").exit_status == 0


def test_a_part_that_ends_before_it_is_ready_is_named_with_its_last_words(supervisor: Supervisor) -> None:
    supervisor.start(failing("broken", "import sys; sys.exit('no database')"))
    with pytest.raises(PartFailed, match=r"broken ended with exit code 1(.*\n)*.*broken \| no database") as raised:
        supervisor.wait_ready("broken")
    assert str(raised.value.log) in str(raised.value)


def test_a_part_that_never_gets_ready_is_given_up(supervisor: Supervisor) -> None:
    supervisor.start(failing("slow", "import signal; signal.pause()", ready_seconds=0.2))
    with pytest.raises(PartFailed, match="slow was not ready after"):
        supervisor.wait_ready("slow")
    supervisor.stop()


def test_the_end_of_any_part_is_noticed(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.start(service(tmp_path, "lasting"))
    supervisor.wait_ready("lasting")
    supervisor.start(Part("brief", [sys.executable, "-c", "print('bye')"], dict(os.environ)))
    with pytest.raises(PartFailed, match=r"brief ended with exit code 0(.*\n)*.*bye"):
        supervisor.wait_for_end()
    supervisor.stop()


def test_a_killed_part_is_started_again_as_it_was(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.start(service(tmp_path, "part"))
    supervisor.wait_ready("part")
    first = supervisor.child("part")
    with pytest.raises(RuntimeError, match="still runs"):
        supervisor.restart("part")
    first.kill()
    with pytest.raises(PartFailed, match="ended by SIGKILL"):
        supervisor.check_alive()
    supervisor.restart("part")
    assert supervisor.child("part").pid != first.pid
    supervisor.check_alive()
    supervisor.stop()


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    for _ in range(2):
        supervisor = Supervisor(tmp_path / "log")
        supervisor.start(service(tmp_path, "part"))
        supervisor.wait_ready("part")
        supervisor.stop()
    assert supervisor.log("part").read_text().count("serves") == 1
    assert supervisor.log("part").with_suffix(".log.1").read_text().count("serves") == 1


def test_what_runs_once_returns_its_output(tmp_path: Path) -> None:
    part = Part("once", [sys.executable, "-c", "print('key')"], dict(os.environ))
    assert run_to_end(part, tmp_path / "once.log") == "key\n"


def test_what_runs_once_and_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    part = Part("once", [sys.executable, "-c", "import sys; sys.exit('no such role')"], dict(os.environ))
    with pytest.raises(PartFailed, match=r"once ended with exit code 1(.*\n)*.*no such role"):
        run_to_end(part, tmp_path / "once.log")
