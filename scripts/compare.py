"""Compare runs by their test scores: `python scripts/compare.py multirun/NAME [more folders of runs or sweeps]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from rococap.cli import user_errors


@user_errors()
def main() -> None:
    """Prints what differed and what came out; writes compare.html, compare.csv and compare.md into the first folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="+", type=Path, metavar="DIR", help="a run's or a sweep's folder")
    places: list[Path] = parser.parse_args().places
    console = Console()

    from rococap.compare.comparison import compare
    from rococap.compare.tables import legend, terminal_tables, write_csv, write_markdown

    with console.status("reading runs"):
        comparison = compare(places)
    for table in terminal_tables(comparison, console):
        console.print(table)
    console.print(legend(comparison), *comparison.notes, sep="\n", style="dim", markup=False, highlight=False)
    write_csv(places[0] / "compare.csv", comparison)
    write_markdown(places[0] / "compare.md", comparison)
    console.print(f"{places[0] / 'compare.csv'}", soft_wrap=True)


if __name__ == "__main__":
    main()
