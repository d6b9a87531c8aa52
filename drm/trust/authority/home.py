"""The authority's folder, and the one way to change what it publishes: whole, or not at all.

settings.json     lifetimes of the roles
keys/             signing keys, encrypted, 0600, named by key id
development       there in a developer's own authority: its keys are not encrypted, for they protect nothing
waiting/          signed archives that are not published yet
trees/            what is published, and `repository`, which a server serves (drm.trust.authority.published_trees)
plan.json         there while a change is under way, and after a run that was killed
lock              one writer
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from drm.errors import AuthorityError
from drm.trust.authority.change_note import Plan
from drm.trust.authority.lifetimes import Lifetimes
from drm.trust.authority.one_writer import one_writer
from drm.trust.authority.published import check_published, kept_files
from drm.trust.authority.published_trees import Trees
from drm.trust.authority.signing_keys import KeyFolders, NewKey, refuse_work_tree
from drm.trust.authority.staged_repository import StagedRepository
from drm.trust.verifier import VerifiedTrust
from drm.whole_file import write_whole

__all__ = ["DEVELOPMENT", "LOCK", "AuthorityHome"]

DEVELOPMENT: Final = "development"
LOCK: Final = "lock"


class AuthorityHome:
    """One authority on disk. Every operation of the publisher's side is a function over this."""

    def __init__(
        self,
        folder: Path,
        passphrase: Callable[[str], str],
        *,
        more_keys: Sequence[Path] = (),
        encrypted: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`passphrase` is asked as KeyFolders asks it; `more_keys` are folders with keys kept elsewhere.

        Only a developer's own authority has keys that are not `encrypted`.
        """
        self.folder = folder
        self.keys = KeyFolders(folder / "keys", passphrase, more_keys, encrypted=encrypted)
        self.trees = Trees(folder)
        self.waiting = folder / "waiting"
        self.now = now
        self.notes: list[str] = []  # what the user should know beside the result
        self._encrypted = encrypted
        self._settings = folder / "settings.json"
        self._plan = folder / "plan.json"

    @property
    def lifetimes(self) -> Lifetimes:
        """The lifetimes of the roles. Raises StorageError."""
        return Lifetimes.read(self._settings)

    @property
    def unfinished(self) -> Plan | None:
        """The change that a killed run left, if any."""
        return Plan.read(self._plan)

    def create(self, lifetimes: Lifetimes) -> None:
        """Make the folder. Raises InvalidArgumentError in a git work tree."""
        if self._encrypted:
            refuse_work_tree(self.folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with one_writer(self.folder / LOCK):
            if not self.trees.number():
                if not self._encrypted:
                    # A home folder may be a work tree, and a checkout must play there too.
                    write_whole(self.folder / ".gitignore", b"*\n", only_writer=True)
                    write_whole(self.folder / DEVELOPMENT, b"", only_writer=True)
                lifetimes.write(self._settings)

    def trust(self) -> VerifiedTrust:
        """What is published, verified as a client verifies it. Raises AuthorityError where nothing is, TrustError."""
        self._need_tree()
        return check_published(self.trees.published)

    def reading(self) -> StagedRepository:
        """What is published, as a repository to look at."""
        return StagedRepository(self.trees.published, self.keys, self.lifetimes, self.now)

    @contextmanager
    def writing(self, command: tuple[str, ...]) -> Iterator[bool]:
        """Be the one writer, after what a killed run left was put right.

        Gives True when that run had published this very command already: then there is nothing left to do.
        """
        if not self._settings.exists():
            raise AuthorityError(
                f"there is no authority in {self.folder}", remedy="make one with `clearkey authority init`"
            )
        with one_writer(self.folder / LOCK):
            yield self._recover(command)

    @contextmanager
    def change(
        self, command: tuple[str, ...], new_keys: Sequence[NewKey] = (), *, source: Path | None = None
    ) -> Iterator[StagedRepository]:
        """Give a tree to edit, and publish it when the block ends; an error in the block leaves all as it was.

        The tree begins as what is published, or as the published files in the folder `source`.

        Within `writing`. The order is what makes every kill harmless: the plan, then keys, then the tree, verified as a
        client would; then one rename shows it; then what is old is removed, and the plan last.
        """
        number = self.trees.number() + 1
        plan = Plan(command, number, tuple(key.public.keyid for key in new_keys))
        plan.write(self._plan)
        try:
            for key in new_keys:
                self.keys.keep(key)
            begins = source or self.trees.published
            kept = kept_files(begins) if source or number > 1 else set()
            tree = self.trees.stage(number, lambda path: path in kept, begins)
            yield StagedRepository(tree, self.keys, self.lifetimes, self.now)
            check_published(tree)
        except Exception:
            self._undo(plan)
            raise
        self.trees.show(number)
        self._finish()

    def _recover(self, command: tuple[str, ...]) -> bool:
        plan = self.unfinished
        if plan is None:
            if self.trees.number():
                self.trees.open_door()
            return False
        if self.trees.number() == plan.tree:
            self._finish()
            self.notes.append(f"a run of `{plan.words}` was cut short after it had published; nothing is lost")
            return plan.command == command
        self._undo(plan)
        if plan.command != command:
            self.notes.append(f"a run of `{plan.words}` was cut short and changed nothing: give it again")
        return False

    def _finish(self) -> None:
        self.trees.open_door()
        self.trees.prune()
        Plan.remove(self._plan)

    def _undo(self, plan: Plan) -> None:
        self.trees.discard(plan.tree)
        for key_id in plan.new_keys:
            self.keys.forget(key_id)
        Plan.remove(self._plan)

    def _need_tree(self) -> None:
        if not self.trees.number():
            raise AuthorityError(
                f"there is no authority in {self.folder}", remedy="make one with `clearkey authority init`"
            )
