import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from sandbox.local.child import Account, Child
from tests.local.processes import PATIENCE_S, ends, kill_hard, start_script

# Says in its log that it runs, then sleeps in a way that signals end.
SLEEPER = "import signal, sys; print('runs', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('runs', flush=True); signal.pause()"


def make_child(tmp_path: Path, code: str, name: str = "part") -> Child:
    return Child(name, [sys.executable, "-c", code], log=tmp_path / f"{name}.log")


def until_logged(child: Child, text: str) -> None:
    with child.log.open(encoding="utf-8") as log:
        while text not in log.read():
            assert child.exit_status is None
            log.seek(0)
            child.wait(0.01)


def test_it_writes_its_output_to_its_log(tmp_path: Path) -> None:
    child = make_child(tmp_path, "import sys; print('out', flush=True); print('err', file=sys.stderr)")
    assert child.wait(PATIENCE_S)
    assert child.exit_status == 0
    assert child.last_lines(2) == ["out", "err"]
    assert "part starts at" in child.last_lines()[0]


def test_the_process_id_is_that_of_the_program(tmp_path: Path) -> None:
    child = make_child(tmp_path, "import os; print(os.getpid())")
    assert child.wait(PATIENCE_S)
    assert child.last_lines(1) == [str(child.pid)]


def test_it_stops_on_its_stop_signal(tmp_path: Path) -> None:
    child = make_child(tmp_path, SLEEPER)
    until_logged(child, "runs")
    assert child.stop(PATIENCE_S)
    assert child.exit_status == -signal.SIGTERM


def test_what_does_not_stop_in_time_is_killed(tmp_path: Path) -> None:
    child = make_child(tmp_path, STUBBORN)
    until_logged(child, "runs")
    assert not child.stop(0.1)
    assert child.exit_status == -signal.SIGKILL


def test_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    child = make_child(tmp_path, SLEEPER)
    until_logged(child, "runs")
    assert os.getpgid(child.pid) != os.getpgid(0)
    os.kill(child.pid, signal.SIGINT)
    assert not child.wait(0.2)
    child.kill()


def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = start_script(
        "import sys, signal; from pathlib import Path; from sandbox.local.child import Child\n"
        f"child = Child('part', [sys.executable, '-c', {SLEEPER!r}], log=Path(sys.argv[1]))\n"
        # Only a program that runs already is the kernel's to end; the launcher itself looks for its parent.
        "while 'runs' not in child.last_lines(): child.wait(0.01)\n"
        "print(child.pid, flush=True); signal.pause()",
        tmp_path / "part.log",
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    kill_hard(parent)
    assert ends(pid)


def test_it_cannot_be_started_by_a_thread_that_passes(tmp_path: Path) -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            make_child(tmp_path, SLEEPER)
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_can_run_it_as_another_user(tmp_path: Path) -> None:
    account = Account(65534, 65534)
    child = Child("part", [Path("/bin/sh"), "-c", "id -u; id -G"], log=tmp_path / "part.log", account=account)
    assert child.wait(PATIENCE_S)
    assert child.last_lines(2) == ["65534", "65534"]
