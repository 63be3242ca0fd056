"""Versions of rulesets, and the releases that put them in force. Kept by `storage.rulesets`, obeyed by every server."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a ruleset in force is for.

    A CANDIDATE decides for a stable share of customers, LIVE for all others; a SHADOW decides nothing and is recorded.
    """

    LIVE = "LIVE"
    CANDIDATE = "CANDIDATE"
    SHADOW = "SHADOW"


FILE_AUTHOR = "file"
"""Who released what a server read from its own rule file."""


@dataclass(frozen=True, slots=True)
class Version:
    """A ruleset's sources under their content hash; never changed, never deleted.

    Attributes:
        name: Where the rules came from, such as the path of their file.
        sources: All that the ruleset is made of, as `fraud_rules` writes it.
    """

    hash: str
    name: str
    sources: bytes


@dataclass(frozen=True, slots=True)
class NewRelease:
    """What somebody asks for.

    Attributes:
        percent: Share of customers, 1 to 100; 100 but for a CANDIDATE.
    """

    role: Role
    percent: int
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Release:
    """One line of the history: from its time on this version has this role, until the role's next release.

    Attributes:
        number: Counts up; the order of releases.
        hash: The version's; empty where the release ends the role.
        previous: Number of the release that a rollback of this one goes back to; None: there is none.
    """

    number: int
    role: Role
    hash: str
    percent: int
    author: str
    reason: str
    previous: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A release, and where its version's rules came from; empty where it ended a role."""

    name: str
    release: Release


InForce = Mapping[Role, Release]
"""The newest release of each role; a role that has ended is missing."""


class ReleaseRefused(Exception):
    """A release that makes no sense as things stand; the text says why and what to do."""
