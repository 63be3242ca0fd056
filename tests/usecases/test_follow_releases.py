"""Servers obey one database: a release on one is obeyed by all, an edit is a release, and a bad one changes nothing."""

import asyncio
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from fraud_rules import RulesError, Sources, check_sources, read_sources
from fraud_rules.trial import try_in_child
from server.domain.errors import KassaError, Reason
from server.domain.rulesets import Role
from server.screening.watched_file import WatchedFile
from server.storage import rulesets as storage
from server.storage.engine import make_engine
from server.usecases import follow_releases as module
from tests.cluster import TEMPLATE, Cluster, Database
from tests.fraud_rules.rulefiles import rule, ruleset_text
from tests.usecases.following import NOWHERE, above, query, server_at, write


@pytest.fixture(scope="module")
def whole(postgres: Cluster) -> Iterator[Database]:
    """A database of this module alone."""
    name = f"kassa_follow_{uuid4().hex}"
    yield postgres.create_database(name, TEMPLATE)
    postgres.drop_database(name)


@pytest.fixture
def own(whole: Database) -> Iterator[Database]:
    """The module's database, where nothing was ever released."""
    yield whole
    engine = make_engine(whole.owner_url, 1)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE ruleset_releases, ruleset_versions"))
    engine.dispose()


async def test_the_first_server_releases_its_file_and_the_second_finds_it(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5")
    async with server_at(own, path) as first, server_at(own, path) as second:
        assert first.blocks and second.blocks
        assert first.live == second.live == check_sources(read_sources(path)).hash
    [(author, reason)] = query(own, "SELECT author, reason FROM ruleset_releases")
    assert (author, reason) == ("file", f"found at a start: {path}")


async def test_what_is_released_at_one_server_is_obeyed_by_the_other(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path) as first, server_at(own, path) as second:
        released = await first.release(above(tmp_path / "x", "5"))
        for server in (first, second):
            await server.follow.look()
            assert (server.live, server.blocks) == (released, True)
            assert server.seen.hashes == {Role.LIVE: released}


async def test_a_rollback_survives_the_restart_of_a_server_whose_file_is_as_it_was(
    own: Database, tmp_path: Path
) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path) as server:
        write(path, "5")
        await server.follow.look()
        assert server.blocks
        await server.transactions.run(storage.roll_back, None, "ada", "too strict")
        await server.follow.look()
        assert not server.blocks
    async with server_at(own, path) as server:
        assert not server.blocks
        await server.follow.look()
        assert not server.blocks
    assert len(query(own, "SELECT FROM ruleset_releases")) == 3


async def test_a_rollback_survives_a_file_that_is_touched_and_lists_that_no_rule_names(
    own: Database, tmp_path: Path
) -> None:
    path, lists = write(tmp_path / "rules.yaml", "5000"), tmp_path / "lists"
    lists.mkdir()
    async with server_at(own, path, begun=False) as server:
        server.follow._watched = WatchedFile(path, lists=lists)
        await server.follow.begin()
        write(path, "5")
        await server.follow.look()
        await server.transactions.run(storage.roll_back, None, "ada", "too strict")
        await server.follow.look()
        path.touch()
        await server.follow.look()
        (lists / "others.txt").write_text("bob@example.com\n")
        await server.follow.look()
        assert not server.blocks
    assert len(query(own, "SELECT FROM ruleset_releases")) == 3


async def test_a_rollback_survives_a_start_at_which_the_file_cannot_be_read(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path) as server:
        write(path, "5")
        await server.follow.look()
        await server.transactions.run(storage.roll_back, None, "ada", "too strict")
    rolled_back = path.read_text()
    path.unlink()
    async with server_at(own, path) as server:
        path.write_text(rolled_back)
        await server.follow.look()
        assert not server.blocks
    assert len(query(own, "SELECT FROM ruleset_releases")) == 3


async def test_an_edit_whose_release_got_no_answer_can_be_taken_back(
    own: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path) as server:
        run = server.follow._transactions.run

        async def lost(*args: Any) -> None:
            await run(*args)
            raise KassaError(Reason.SERVICE_UNAVAILABLE, "The database cannot be reached.")

        await server.follow.look()
        write(path, "5")
        with monkeypatch.context() as trouble:
            trouble.setattr(server.follow._transactions, "run", lost)
            with pytest.raises(KassaError):
                await server.follow.look()
        write(path, "5000")
        await server.follow.look()
        assert not server.blocks


async def test_a_broken_edit_that_is_taken_back_is_trouble_no_longer(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5")
    async with server_at(own, path) as server:
        sound = path.read_text()
        path.write_text("rules: nothing")
        await server.follow.look()
        assert server.seen.not_obeyed == {module.FILE}
        path.write_text(sound)
        await server.follow.look()
        assert not server.seen.not_obeyed and server.blocks
    assert len(query(own, "SELECT FROM ruleset_releases")) == 1


async def test_an_edit_is_a_release_that_other_servers_obey(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    elsewhere = tmp_path / "copy.yaml"
    shutil.copy(path, elsewhere)
    async with server_at(own, path) as server, server_at(own, elsewhere) as other:
        write(path, "5")
        await server.follow.look()
        await other.follow.look()
        assert server.blocks and other.blocks
    last = query(own, "SELECT author, reason FROM ruleset_releases ORDER BY ordinal DESC LIMIT 1")
    assert last == [("file", f"edited: {path}")]


async def test_servers_that_watch_one_file_release_an_edit_once(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path) as one, server_at(own, path) as two:
        write(path, "5")
        await asyncio.gather(one.follow.look(), two.follow.look())
        assert one.blocks and two.blocks
        # What was rolled back meanwhile is not released again by a server that was slow to see the edit.
        write(path, "7")
        await one.follow.look()
        await one.transactions.run(storage.roll_back, None, "ada", "no")
        await two.follow.look()
        await one.follow.look()
        assert one.live == two.live == check_sources(above(tmp_path / "x", "5")).hash
    assert len(query(own, "SELECT FROM ruleset_releases")) == 4


async def test_an_edit_back_to_an_earlier_version_is_an_edit(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path) as server:
        for limit, blocks in (("5", True), ("5000", False), ("5", True)):
            write(path, limit)
            await server.follow.look()
            assert server.blocks is blocks


async def test_a_changed_list_is_an_edit(own: Database, tmp_path: Path) -> None:
    path, lists = tmp_path / "rules.yaml", tmp_path / "lists"
    lists.mkdir()
    (lists / "bad.txt").write_text("bob@example.com\n")
    path.write_text(ruleset_text(rule("any", 'email in list("bad")', "action: block")))
    async with server_at(own, path, begun=False) as server:
        server.follow._watched = WatchedFile(path, lists=lists)
        await server.follow.begin()
        assert not server.blocks
        (lists / "bad.txt").write_text("bob@example.com\nada@example.com\n")
        await server.follow.look()
        assert server.blocks


async def test_a_broken_edit_changes_nothing_and_says_why(
    own: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "rules.yaml", "5")
    async with server_at(own, path) as server:
        before = server.live
        write(path, "amuont")
        with caplog.at_level(logging.ERROR):
            await server.follow.look()
            await server.follow.look()
        assert server.live == before and server.blocks
        assert (server.seen.rejected, server.seen.not_obeyed) == (["file"], {"file"})
        [told] = [record.message for record in caplog.records if "error:" in record.message]
        assert "rules not taken up" in told and "unknown fact 'amuont' (did you mean 'amount'?)" in told
        assert len(query(own, "SELECT FROM ruleset_releases")) == 1
        write(path, "5")
        await server.follow.look()
        assert server.seen.not_obeyed == set()


async def test_a_deleted_file_changes_nothing(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5")
    async with server_at(own, path) as server:
        path.unlink()
        await server.follow.look()
        assert server.blocks
        assert server.seen.not_obeyed == {"file"}


async def test_a_file_that_is_being_written_is_read_again(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5000")

    def write_more(_: Sources, __: int | None) -> None:
        if not (tmp_path / "written").exists():
            (tmp_path / "written").touch()
            write(path, "5")

    async with server_at(own, path) as server:
        server.rulesets._gates._trial = write_more
        write(path, "1")
        await server.follow.look()
        assert not server.blocks
        await server.follow.look()
        assert server.blocks
    assert len(query(own, "SELECT FROM ruleset_releases")) == 2


async def test_a_release_that_cannot_be_loaded_here_changes_nothing_and_is_tried_again(
    own: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: Sources, __: int | None) -> None:
        if not (tmp_path / "calm").exists():
            raise RulesError([])

    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path) as server:
        server.rulesets._gates._trial = busy
        await server.release(above(tmp_path / "x", "5"))
        for _ in range(3):
            await server.follow.look()
        assert not server.blocks
        assert (server.seen.rejected, server.seen.not_obeyed) == (["LIVE"], {"LIVE"})
        (tmp_path / "calm").touch()
        monkeypatch.setattr(module, "AGAIN_AFTER_S", 0)
        server.follow._again_at = 0
        await server.follow.look()
        assert server.blocks
        assert server.seen.not_obeyed == set()


async def test_candidates_and_shadows_come_and_go(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path) as server:
        candidate = await server.release(above(tmp_path / "x", "5"), Role.CANDIDATE, 99)
        shadow = await server.release(above(tmp_path / "x", "7"), Role.SHADOW)
        await server.follow.look()
        assert server.seen.hashes == {Role.LIVE: server.live, Role.CANDIDATE: candidate, Role.SHADOW: shadow}
        decisions = [server.decide() for _ in range(20)]
        assert [one.ruleset for one in decisions[0].shadows] == [shadow]
        await server.transactions.run(storage.roll_back, None, "ada", "enough")
        await server.transactions.run(storage.end_shadow, "ada", "enough")
        await server.follow.look()
        assert server.seen.hashes == {Role.LIVE: server.live}
        assert server.decide().shadows == ()


async def test_where_the_database_does_not_answer_the_file_decides_until_it_does(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path) as server:
        await server.release(above(tmp_path / "x", "5"))
    async with server_at(own, path, reader_url=NOWHERE) as server:
        assert not server.blocks
        back = make_engine(own.reader_url, 1)
        server.follow._reads._engine = back
        await server.follow.look()
        assert server.blocks
        back.dispose()


async def test_without_database_and_sound_file_there_is_nothing_to_begin_with(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "amuont")
    async with server_at(own, path, begun=False, reader_url=NOWHERE) as server:
        with pytest.raises(RulesError, match="amuont"):
            await server.follow.begin()
    async with server_at(own, path, begun=False) as server:
        with pytest.raises(RulesError, match="amuont"):
            await server.follow.begin()


async def test_a_broken_file_does_not_keep_a_server_from_starting_by_what_is_released(
    own: Database, tmp_path: Path
) -> None:
    path = write(tmp_path / "rules.yaml", "5")
    async with server_at(own, path):
        pass
    write(path, "amuont")
    async with server_at(own, path) as server:
        assert server.blocks
        assert server.seen.not_obeyed == {"file"}


async def test_a_server_with_a_threshold_of_its_own_keeps_the_version_that_its_decisions_name(
    own: Database, tmp_path: Path
) -> None:
    path = write(tmp_path / "rules.yaml", "5")
    async with server_at(own, path, block_threshold=300) as server:
        await server.release(above(tmp_path / "x", "7"))
        await server.follow.look()
        named = server.decide().ruleset
    assert named != check_sources(above(tmp_path / "x", "7")).hash
    kept = {one for (one,) in query(own, "SELECT hash FROM ruleset_versions")}
    assert named in kept and len(kept) == 4
    assert len(query(own, "SELECT FROM ruleset_releases")) == 2


async def test_a_look_at_nothing_new_is_one_query(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5")
    async with server_at(own, path) as server:
        asked: list[str] = []
        run = server.follow._reads.run

        async def watched(work: Any, *args: Any) -> Any:
            asked.append(work.__name__)
            return await run(work, *args)

        server.follow._reads.run = watched  # type: ignore[method-assign]
        await server.follow.look()
        assert asked == ["read_in_force"]


async def test_an_edit_passes_every_gate_in_a_child_process_and_is_obeyed_soon(own: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "rules.yaml", "5000")
    async with server_at(own, path, trial=try_in_child) as server:
        write(path, "5")
        began = asyncio.get_running_loop().time()
        await server.follow.look()
        assert server.blocks
        # With the half second between two looks; a machine that is busy otherwise may take its time.
        assert asyncio.get_running_loop().time() - began < 30
