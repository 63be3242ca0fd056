"""Releases: what is in force, what a rollback goes back to, and that nobody overrides anybody unawares."""

from collections.abc import Iterator
from hashlib import sha256
from threading import Thread
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from server.domain.rulesets import NewRelease, Release, ReleaseRefused, Role, Version
from server.storage.rulesets import (
    end_shadow,
    keep_version,
    read_history,
    read_in_force,
    read_versions,
    release,
    release_unless_known,
    release_unless_since,
    roll_back,
)
from tests.cluster import TEMPLATE, Cluster, Database


def version(word: str) -> Version:
    return Version(sha256(word.encode()).hexdigest(), f"{word}.yaml", word.encode())


A, B, C = version("a"), version("b"), version("c")
LIVE = NewRelease(Role.LIVE, 100, "ada", "because")
TENTH = NewRelease(Role.CANDIDATE, 10, "ada", "try it")
SHADOW = NewRelease(Role.SHADOW, 100, "ada", "watch it")


@pytest.fixture
def own(postgres: Cluster) -> Iterator[Database]:
    """A database whose platform has no releases yet."""
    name = f"kassa_releases_{uuid4().hex}"
    yield postgres.create_database(name, TEMPLATE)
    postgres.drop_database(name)


@pytest.fixture
def engine(own: Database) -> Iterator[Engine]:
    made = create_engine(own.writer_url)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as opened:
        yield opened


def hashes(connection: Connection) -> dict[Role, str]:
    return {role: one.hash for role, one in read_in_force(connection).items()}


def put(connection: Connection, what: Version, how: NewRelease = LIVE) -> Release:
    done = release(connection, what, how)
    assert done is not None
    return done


def test_at_first_nothing_is_in_force(connection: Connection) -> None:
    assert read_in_force(connection) == {}
    with pytest.raises(ReleaseRefused, match="nothing to go back from"):
        roll_back(connection, None, "ada", "no")
    for how in (TENTH, SHADOW):
        with pytest.raises(ReleaseRefused, match="No rules are live yet"):
            release(connection, A, how)


def test_a_release_is_in_force_with_who_and_why_and_all_its_sources(connection: Connection) -> None:
    done = put(connection, A)
    assert read_in_force(connection) == {Role.LIVE: done}
    assert (done.number, done.author, done.reason, done.percent, done.previous) == (1, "ada", "because", 100, None)
    assert read_versions(connection, [A.hash, B.hash]) == {A.hash: A}


def test_what_is_in_force_is_not_released_again(connection: Connection) -> None:
    put(connection, A)
    assert release(connection, A, LIVE) is None
    put(connection, B, TENTH)
    assert release(connection, B, TENTH) is None
    assert put(connection, B, NewRelease(Role.CANDIDATE, 50, "ada", "more")).percent == 50
    with pytest.raises(ReleaseRefused, match="live already"):
        release(connection, A, SHADOW)


def test_going_back_twice_goes_two_steps_back(connection: Connection) -> None:
    for one in (A, B, C):
        put(connection, one)
    assert roll_back(connection, None, "bob", "bad").hash == B.hash
    again = roll_back(connection, None, "bob", "still bad")
    assert (again.hash, again.author, again.reason) == (A.hash, "bob", "still bad")
    with pytest.raises(ReleaseRefused, match="No other version"):
        roll_back(connection, None, "bob", "no more")


def test_a_version_can_be_named_by_how_its_hash_begins(connection: Connection) -> None:
    for one in (A, B, C):
        put(connection, one)
    assert roll_back(connection, A.hash[:8], "bob", "bad").hash == A.hash
    with pytest.raises(ReleaseRefused, match="live already"):
        roll_back(connection, A.hash, "bob", "again")
    with pytest.raises(ReleaseRefused, match="No version was ever live"):
        roll_back(connection, "f" * 64, "bob", "which")
    with pytest.raises(ReleaseRefused, match="3 versions"):
        roll_back(connection, "", "bob", "which")


def test_a_version_that_was_only_a_candidate_is_nothing_to_go_back_to(connection: Connection) -> None:
    put(connection, A)
    put(connection, B, TENTH)
    with pytest.raises(ReleaseRefused, match="No version was ever live"):
        roll_back(connection, B.hash, "bob", "which")


def test_a_rollback_ends_a_candidate_first_and_touches_nothing_else(connection: Connection) -> None:
    put(connection, A)
    put(connection, B)
    put(connection, C, TENTH)
    assert roll_back(connection, None, "bob", "bad").role is Role.CANDIDATE
    assert hashes(connection) == {Role.LIVE: B.hash}
    assert roll_back(connection, None, "bob", "bad too").hash == A.hash


def test_what_becomes_live_ends_the_candidate_and_its_own_shadow(connection: Connection) -> None:
    put(connection, A)
    put(connection, B, TENTH)
    put(connection, C, SHADOW)
    put(connection, B)
    assert hashes(connection) == {Role.LIVE: B.hash, Role.SHADOW: C.hash}
    put(connection, A, TENTH)
    put(connection, C)
    assert hashes(connection) == {Role.LIVE: C.hash}


def test_going_back_to_a_named_version_ends_the_candidate(connection: Connection) -> None:
    put(connection, A)
    put(connection, B)
    put(connection, C, TENTH)
    roll_back(connection, A.hash, "bob", "back")
    assert hashes(connection) == {Role.LIVE: A.hash}


def test_a_shadow_ends_by_itself_alone(connection: Connection) -> None:
    put(connection, A)
    put(connection, B, SHADOW)
    end_shadow(connection, "bob", "seen enough")
    assert hashes(connection) == {Role.LIVE: A.hash}
    with pytest.raises(ReleaseRefused, match="No shadow"):
        end_shadow(connection, "bob", "again")


def test_history_tells_everything_newest_first(connection: Connection) -> None:
    put(connection, A)
    put(connection, B, TENTH)
    roll_back(connection, None, "bob", "bad")
    history = read_history(connection, 10)
    told = [(line.release.number, line.release.role, line.release.hash, line.name) for line in history]
    assert told == [
        (3, Role.CANDIDATE, "", ""),
        (2, Role.CANDIDATE, B.hash, "b.yaml"),
        (1, Role.LIVE, A.hash, "a.yaml"),
    ]
    whys = [("bob", "bad"), ("ada", "try it"), ("ada", "because")]
    assert [(line.release.author, line.release.reason) for line in history] == whys
    assert [line.release.number for line in read_history(connection, 1)] == [3]


def test_an_edit_that_two_servers_saw_is_released_once_even_if_it_was_rolled_back_between(
    connection: Connection,
) -> None:
    seen = put(connection, A).number
    assert release_unless_since(connection, B, LIVE, seen) is not None
    roll_back(connection, None, "bob", "bad")
    assert release_unless_since(connection, B, LIVE, seen) is None
    assert hashes(connection) == {Role.LIVE: A.hash}


def test_an_edit_back_to_an_old_version_is_an_edit(connection: Connection) -> None:
    put(connection, A)
    seen = put(connection, B).number
    assert release_unless_since(connection, A, LIVE, seen) is not None
    assert hashes(connection) == {Role.LIVE: A.hash}


def test_a_known_version_does_not_override_at_a_servers_start(connection: Connection) -> None:
    assert release_unless_known(connection, A, LIVE) is not None
    put(connection, B)
    assert release_unless_known(connection, A, LIVE) is None
    assert hashes(connection) == {Role.LIVE: B.hash}
    assert release_unless_known(connection, C, LIVE) is not None


def test_a_version_can_be_kept_without_a_release(connection: Connection) -> None:
    keep_version(connection, A)
    keep_version(connection, A)
    assert read_versions(connection, [A.hash]) == {A.hash: A}
    assert read_in_force(connection) == {}


def test_servers_that_start_at_once_release_their_file_once(engine: Engine) -> None:
    done: list[Release | None] = []

    def start() -> None:
        with engine.begin() as opened:
            done.append(release_unless_known(opened, A, LIVE))

    threads = [Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert [one.number for one in done if one is not None] == [1]


@pytest.mark.parametrize("table", ["ruleset_versions", "ruleset_releases"])
@pytest.mark.parametrize("change", ["UPDATE {} SET hash = hash", "DELETE FROM {}"])
def test_servers_can_neither_change_nor_delete_what_was(engine: Engine, table: str, change: str) -> None:
    with engine.connect() as opened, pytest.raises(ProgrammingError, match="permission denied"):
        opened.execute(text(change.format(table)))
