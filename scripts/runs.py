"""How runs and sweeps stand: state, progress, time left, best score, size on the disk, last error.

python scripts/runs.py [FOLDER]
python scripts/runs.py --clean [FOLDER]

Looking disturbs no run. --clean shows the checkpoints that are neither a run's best nor its last, and deletes them
after a yes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rococap.cli import Terminal, user_errors
from rococap.runs.cleaning import delete, superfluous
from rococap.runs.listing import show, size_text
from rococap.runs.overview import overview
from rococap.types import UserError


@user_errors()
def main() -> None:
    """Prints a table, or cleans."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("multirun"), metavar="FOLDER")
    parser.add_argument("--clean", action="store_true", help="delete checkpoints that are neither best nor last")
    arguments = parser.parse_args()
    console = Terminal()
    groups = overview(arguments.folder)
    if not groups:
        raise UserError(f"{arguments.folder} holds no run (a run's folder has config.yaml and run.json).")
    if arguments.clean:
        clean(console, [run.path for group in groups for run in group.runs])
    else:
        show(console, arguments.folder, groups)


def clean(console: Terminal, runs: list[Path]) -> None:
    """Show what can go, ask, and delete it."""
    found = [superfluous(run) for run in runs]
    for each in found:
        if each.kept:
            console.print(f"{each.run}: nothing is deleted, {each.kept}", style="yellow", soft_wrap=True)
        if each.files:
            names = " ".join(file.name for file in each.files)
            console.print(f"{each.run}, {size_text(each.size)}: {names}", soft_wrap=True)
    going = [each for each in found if each.files]
    if not going:
        console.print("No checkpoint to delete: there are only the best and the last.")
        return
    number, size = sum(len(each.files) for each in going), sum(each.size for each in going)
    try:
        said = console.input(
            f"Delete {number} checkpoints of {len(going)} runs, {size_text(size)}? [y/N] ", markup=False
        )
    except EOFError:
        said = ""
    if said.strip().lower() not in {"y", "yes"}:
        console.print("Nothing was deleted.")
        return
    for each in (done := delete(going)):
        if each.kept:
            console.print(f"{each.run}: {each.kept}", style="yellow", soft_wrap=True)
    console.print(f"{sum(len(each.files) for each in done)} checkpoints were deleted.")


if __name__ == "__main__":
    main()
