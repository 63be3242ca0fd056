import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest

from sandbox.local.child import Child
from sandbox.local.ports import is_free
from sandbox.local.postgres import EmbeddedPostgres, PostgresError
from sandbox.local.postgres_binaries import postgres_account
from tests.local.processes import ends, kill_hard, start_script

PASSWORD = "pass word/with:odd@letters"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """A cluster's folder that a test may start several times; wherever it lies, it is removed at the end."""
    folder = tmp_path / "postgres"
    yield folder
    EmbeddedPostgres(folder, password=PASSWORD, durable=False).stop()


def make_postgres(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, password=PASSWORD, settings={"fsync": "off"})


def query(url: str, statement: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None
    finally:
        connection.close()


def test_it_keeps_its_data_from_start_to_start(kept: Path) -> None:
    with make_postgres(kept) as postgres:
        query(postgres.dsn(), "CREATE TABLE kept AS SELECT 42 AS answer")
    assert is_free(postgres.port)
    with make_postgres(kept) as postgres:
        assert query(postgres.dsn(), "SELECT answer FROM kept") == 42


def test_nobody_gets_in_without_the_password(kept: Path) -> None:
    with make_postgres(kept) as postgres:
        for host in ("127.0.0.1", postgres.socket_dir):
            with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
                psycopg2.connect(host=str(host), port=postgres.port, user="postgres", password="wrong")


def test_the_owner_of_a_database_is_no_superuser(kept: Path) -> None:
    with make_postgres(kept) as postgres:
        for _ in range(2):
            postgres.ensure_database("shop", "shop_owner", "secret")
        url = postgres.dsn("shop", "shop_owner", "secret")
        assert query(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        assert query(url, "CREATE TABLE mine (id int)") is None


def test_a_cluster_that_is_not_durable_leaves_nothing(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", password=PASSWORD, durable=False) as postgres:
        place, sockets = postgres.data_dir.resolve(), postgres.socket_dir
        assert query(postgres.dsn(), "SHOW fsync") == "off"
    assert not place.exists()
    assert not sockets.exists()
    assert not postgres.data_dir.exists()


def test_it_ends_with_a_parent_that_is_killed_and_starts_again(kept: Path) -> None:
    parent = start_script(
        "import sys, signal; from pathlib import Path; from sandbox.local.postgres import EmbeddedPostgres\n"
        "postgres = EmbeddedPostgres(Path(sys.argv[1]), password=sys.argv[2]); postgres.start()\n"
        "print(postgres.child.pid, flush=True); signal.pause()",
        kept,
        PASSWORD,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    kill_hard(parent)
    # The next start waits for the old server, so it may come at once.
    with make_postgres(kept) as postgres:
        assert query(postgres.dsn(), "SELECT 1") == 1
    assert ends(pid)


def test_a_stale_pid_file_with_the_number_of_a_living_process_is_no_obstacle(kept: Path) -> None:
    # Of the same user: Postgres itself disregards everybody else's.
    living = Child("living", ["/bin/sleep", "60"], log=kept.with_name("living.log"), account=postgres_account())
    with make_postgres(kept) as postgres:
        postgres.child.kill()
        pid_file = kept / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(living.pid), *lines[1:]]) + "\n")
    with make_postgres(kept) as postgres:
        assert query(postgres.dsn(), "SELECT 1") == 1
    assert living.exit_status is None
    living.kill()


def test_it_says_why_it_does_not_start(kept: Path) -> None:
    postgres = EmbeddedPostgres(kept, password=PASSWORD, settings={"shared_buffers": "plenty"})
    with pytest.raises(PostgresError, match="shared_buffers"):
        postgres.start()


def test_a_socket_folder_of_somebody_else_is_refused(kept: Path) -> None:
    postgres = make_postgres(kept)
    postgres.socket_dir.symlink_to(kept.parent)
    account = postgres_account()
    if account is not None:
        os.chown(postgres.socket_dir, account.uid, account.gid, follow_symlinks=False)
    try:
        with pytest.raises(PostgresError, match="somebody else"):
            postgres.start()
    finally:
        postgres.socket_dir.unlink()


def test_its_programs_can_be_run(kept: Path) -> None:
    postgres = EmbeddedPostgres(kept, password=PASSWORD)
    for name in ("initdb", "psql", "pgbench", "pg_basebackup"):
        assert os.access(postgres.program(name), os.X_OK)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")
def test_root_opens_no_folder_for_the_user_that_runs_postgres(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = [(path, stat.S_IMODE(path.stat().st_mode)) for path in (closed, *closed.parents)]
    with EmbeddedPostgres(closed / "postgres", password=PASSWORD, durable=False) as postgres:
        assert postgres.data_dir.is_symlink()
        assert query(postgres.dsn(), "SELECT 1") == 1
    assert before == [(path, stat.S_IMODE(path.stat().st_mode)) for path, _ in before]


def test_it_dies_when_killed_and_can_be_started_again_on_the_same_port(kept: Path) -> None:
    with make_postgres(kept) as postgres:
        port = postgres.port
        postgres.child.kill()
        assert postgres.child.exit_status == -signal.SIGKILL
        postgres.start()
        assert postgres.port == port
        assert query(postgres.dsn(), "SELECT 1") == 1


def test_it_starts_again_at_once_though_a_session_of_the_killed_server_lingers(kept: Path) -> None:
    with make_postgres(kept) as postgres, closing(psycopg2.connect(postgres.dsn())) as connection:
        session = psutil.Process(connection.get_backend_pid())
        session.suspend()  # it cannot even notice that its server is gone
        waking = threading.Timer(1.0, session.resume)
        waking.start()
        postgres.child.kill()
        postgres.start()
        assert query(postgres.dsn(), "SELECT 1") == 1
        waking.join()
