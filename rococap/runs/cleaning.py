"""Checkpoints that a run can do without: neither the best nor the last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rococap.runs.folder import RunFolder
from rococap.runs.locks import is_held, releasing
from rococap.types import UserError


@dataclass(frozen=True)
class Superfluous:
    """What may go of a run.

    Attributes:
        files: to be deleted.
        kept: why nothing is deleted there, though there are checkpoints; empty where nothing speaks against it.
    """

    run: Path
    files: tuple[Path, ...] = ()
    kept: str = ""

    @property
    def size(self) -> int:
        """Bytes of what goes."""
        return sum(file.lstat().st_size for file in self.files if file.exists())


def superfluous(run: Path, *, mine: bool = False) -> Superfluous:
    """What may go of a run; nothing where it goes on, or its best checkpoint is not known or not there.

    Args:
        mine: this process holds the run.
    """
    folder = RunFolder(run)
    there = sorted(file for file in folder.checkpoints.glob("*.ckpt*") if file.name.endswith((".ckpt", ".ckpt.tmp")))
    if not there:
        return Superfluous(run)
    if not folder.checkpoints.resolve().is_relative_to(run.resolve()):
        return Superfluous(run, kept=f"checkpoints/ is a link out of the folder, to {folder.checkpoints.resolve()}")
    if not mine and is_held(run):
        return Superfluous(run, kept="the run is going on")
    try:
        kept = {folder.best_checkpoint(), folder.checkpoints / "last.ckpt", folder.last_checkpoint() or there[-1]}
    except (UserError, OSError, ValueError, TypeError) as error:
        return Superfluous(run, kept=f"the best checkpoint is not known: {str(error).partition(chr(10))[0]}")
    return Superfluous(run, tuple(file for file in there if file not in kept))


def delete(found: Iterable[Superfluous]) -> list[Superfluous]:
    """Delete what was found and still may go, each run held meanwhile; gives what was deleted of each, or why not."""
    done = []
    for each in found:
        try:
            with releasing(each.run):
                now = superfluous(each.run, mine=True)
                gone = tuple(file for file in each.files if file in now.files)
                for file in gone:
                    file.unlink()
            done.append(Superfluous(each.run, gone, now.kept))
        except (UserError, OSError) as error:
            done.append(Superfluous(each.run, (), str(error).partition("\n")[0]))
    return done
