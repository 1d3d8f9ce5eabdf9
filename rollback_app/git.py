"""What is asked of git: which files of the working tree a commit does not have."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .errors import UsageError, shown


def new_files(reference: str) -> frozenset[Path]:
    """The files under the repository of the current folder, committed or not, that the commit lacks. None that git ignores.

    Errors: UsageError, if git is not there, this is no repository, or it has no such commit.
    """
    root = Path(_git(["rev-parse", "--show-toplevel"], "This folder is in no git repository.").strip()).resolve()
    which = [f"{reference}^{{commit}}"]
    words = f"git knows no commit '{shown(reference)}' here."
    commit = _git(["rev-parse", "--verify", "--quiet", "--end-of-options", *which], words).strip()
    here = _git(["-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], words)
    there = _git(["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit], words)
    return frozenset(root / name for name in {*here.split("\0")} - {*there.split("\0")})


def _git(arguments: list[str], otherwise: str) -> str:
    try:
        # Only git itself reads the arguments.
        done = subprocess.run(["git", *arguments], check=False, capture_output=True, text=True)  # noqa: S603, S607
    except (OSError, ValueError) as error:
        raise UsageError(
            f"git cannot be run: {error}", hint="Install it, or give --since manifest:FILE in place of --base."
        ) from error
    if done.returncode:
        hint = (
            "Give a branch, a tag or a commit, such as origin/main. A shallow clone has to fetch it first, for example:\n"
            "  git fetch --depth=1 origin main:refs/remotes/origin/main"
        )
        raise UsageError(otherwise, hint=hint)
    return done.stdout
