"""Versions of rulesets and their releases. Called by `usecases.release_rules` and by servers that follow the releases.

Whoever writes a release holds one lock, so that releases have an order and each sees what is in force.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from server.domain.rulesets import HistoryLine, InForce, NewRelease, Release, ReleaseRefused, Role, Version

_COLUMNS = "ordinal AS number, role, hash, percent, author, reason, previous, created_at"
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('ruleset_releases', 0))")
_IN_FORCE = text(f"""
    SELECT newest.* FROM unnest(CAST(:roles AS text[])) AS q(wanted) CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM ruleset_releases WHERE role = q.wanted ORDER BY ordinal DESC LIMIT 1) AS newest
    WHERE newest.hash <> ''
""")
_INSERT = text(f"""
    INSERT INTO ruleset_releases (ordinal, role, hash, percent, author, reason, previous)
    SELECT coalesce(max(ordinal), 0) + 1, :role, :hash, :percent, :author, :reason, :previous FROM ruleset_releases
    RETURNING {_COLUMNS}
""")
_KEEP = text("""
    INSERT INTO ruleset_versions (hash, name, sources) VALUES (:hash, :name, :sources) ON CONFLICT (hash) DO NOTHING
""")
_VERSIONS = text("SELECT hash, name, sources FROM ruleset_versions WHERE hash = ANY(:hashes)")
_KNOWN = text("SELECT EXISTS (SELECT FROM ruleset_versions WHERE hash = :hash)")
_RELEASED_SINCE = text("""
    SELECT EXISTS (SELECT FROM ruleset_releases WHERE role = 'LIVE' AND hash = :hash AND ordinal > :seen)
""")
_BY_NUMBER = text(f"SELECT {_COLUMNS} FROM ruleset_releases WHERE ordinal = :number")
_LIVE_BY_HASH = text(f"""
    SELECT DISTINCT ON (hash) {_COLUMNS} FROM ruleset_releases
    WHERE role = 'LIVE' AND starts_with(hash, :prefix) ORDER BY hash, ordinal DESC
""")
_HISTORY = text("""
    SELECT r.ordinal AS number, r.role, r.hash, r.percent, r.author, r.reason, r.previous, r.created_at,
           coalesce(v.name, '') AS name
    FROM ruleset_releases r LEFT JOIN ruleset_versions v ON v.hash = r.hash ORDER BY r.ordinal DESC LIMIT :size
""")


def read_in_force(connection: Connection) -> InForce:
    """Returns the newest release of each role; a role that has ended, or was never given, is missing."""
    found = [
        _release(row) for row in connection.execute(_IN_FORCE, {"roles": [role.value for role in Role]}).mappings()
    ]
    return {release.role: release for release in found}


def read_versions(connection: Connection, hashes: Collection[str]) -> dict[str, Version]:
    """Returns versions by their hash; what is not kept is missing."""
    rows = connection.execute(_VERSIONS, {"hashes": list(hashes)})
    return {row.hash: Version(row.hash, row.name, bytes(row.sources)) for row in rows}


def read_history(connection: Connection, size: int) -> list[HistoryLine]:
    """Returns the newest releases, the newest first."""
    rows = [dict(row) for row in connection.execute(_HISTORY, {"size": size}).mappings()]
    return [HistoryLine(name=row.pop("name"), release=_release(row)) for row in rows]


def keep_version(connection: Connection, version: Version) -> None:
    """Keeps a version without releasing it, such as one that a server's own threshold makes of a released one."""
    connection.execute(_KEEP, {"hash": version.hash, "name": version.name, "sources": version.sources})


def release(connection: Connection, version: Version, new: NewRelease) -> Release | None:
    """Puts a version in force; None where it has this role already, with the same percent.

    What becomes LIVE is obeyed for every customer, so it ends a candidate; a shadow that becomes LIVE ends as shadow.

    Raises:
        ReleaseRefused: There is nothing that the version could be tried beside.
    """
    connection.execute(_LOCK)
    return _release_locked(connection, version, new)


def release_unless_since(connection: Connection, version: Version, new: NewRelease, seen: int) -> Release | None:
    """Releases an edit that several servers see at once: None where it was released after the release `seen`."""
    connection.execute(_LOCK)
    if connection.scalar(_RELEASED_SINCE, {"hash": version.hash, "seen": seen}):
        return None
    return _release_locked(connection, version, new)


def release_unless_known(connection: Connection, version: Version, new: NewRelease) -> Release | None:
    """Releases what a server finds at its start: None where the version is known, in force or not."""
    connection.execute(_LOCK)
    if connection.scalar(_KNOWN, {"hash": version.hash}):
        return None
    return _release_locked(connection, version, new)


def roll_back(connection: Connection, to: str | None, author: str, reason: str) -> Release:
    """Ends the candidate where there is one and `to` is None; else goes back to an earlier LIVE version.

    Args:
        to: How the hash of the version begins; None for the one that the version in force came after.

    Raises:
        ReleaseRefused: There is no such version.
    """
    connection.execute(_LOCK)
    in_force = read_in_force(connection)
    if to is None and Role.CANDIDATE in in_force:
        return _end(connection, Role.CANDIDATE, author, reason)
    live = in_force.get(Role.LIVE)
    if live is None:
        raise ReleaseRefused("No rules were ever released: there is nothing to go back from.")
    target = _before(connection, live) if to is None else _chosen(connection, to, live)
    # Twice back is two steps back: the way goes on from where the target stood.
    new = NewRelease(Role.LIVE, 100, author, reason)
    done = _insert(connection, target.hash, new, target.previous)
    _end_others(connection, in_force, done)
    return done


def end_shadow(connection: Connection, author: str, reason: str) -> Release:
    """Ends the shadow ruleset.

    Raises:
        ReleaseRefused: There is none.
    """
    connection.execute(_LOCK)
    if Role.SHADOW not in read_in_force(connection):
        raise ReleaseRefused("No shadow ruleset is running.")
    return _end(connection, Role.SHADOW, author, reason)


def _release_locked(connection: Connection, version: Version, new: NewRelease) -> Release | None:
    in_force = read_in_force(connection)
    live, same = in_force.get(Role.LIVE), in_force.get(new.role)
    if same is not None and (same.hash, same.percent) == (version.hash, new.percent):
        return None
    if new.role is not Role.LIVE:
        if live is None:
            raise ReleaseRefused("No rules are live yet, which this version could be tried beside. Promote it for all.")
        if live.hash == version.hash:
            raise ReleaseRefused("This version is live already, for all customers.")
    keep_version(connection, version)
    previous = live.number if new.role is Role.LIVE and live is not None else None
    done = _insert(connection, version.hash, new, previous)
    if new.role is Role.LIVE:
        _end_others(connection, in_force, done)
    return done


def _end_others(connection: Connection, in_force: InForce, live: Release) -> None:
    shadow = in_force.get(Role.SHADOW)
    if Role.CANDIDATE in in_force:
        _end(connection, Role.CANDIDATE, live.author, f"release {live.number} is live for all")
    if shadow is not None and shadow.hash == live.hash:
        _end(connection, Role.SHADOW, live.author, f"release {live.number} made it live")


def _before(connection: Connection, live: Release) -> Release:
    if live.previous is None:
        raise ReleaseRefused("No other version was in force before this one. Name one with --to, or promote a file.")
    return _release(connection.execute(_BY_NUMBER, {"number": live.previous}).mappings().one())


def _chosen(connection: Connection, prefix: str, live: Release) -> Release:
    found = [_release(row) for row in connection.execute(_LIVE_BY_HASH, {"prefix": prefix}).mappings()]
    if not found:
        raise ReleaseRefused(f"No version was ever live whose hash begins with {prefix}. See `kassa rules history`.")
    if len(found) > 1:
        raise ReleaseRefused(f"{len(found)} versions have a hash that begins with {prefix}. Give more of it.")
    if found[0].hash == live.hash:
        raise ReleaseRefused("This version is live already.")
    return found[0]


def _end(connection: Connection, role: Role, author: str, reason: str) -> Release:
    return _insert(connection, "", NewRelease(role, 100, author, reason), None)


def _insert(connection: Connection, version_hash: str, new: NewRelease, previous: int | None) -> Release:
    values: dict[str, Any] = {
        "role": new.role.value,
        "hash": version_hash,
        "percent": new.percent,
        "author": new.author,
    }
    values |= {"reason": new.reason, "previous": previous}
    return _release(connection.execute(_INSERT, values).mappings().one())


def _release(row: RowMapping | Mapping[str, Any]) -> Release:
    return Release(**{**row, "role": Role(row["role"])})
