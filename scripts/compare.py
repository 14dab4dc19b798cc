"""Compare runs by their test scores: `python scripts/compare.py multirun/NAME [more folders of runs or sweeps]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rococap.cli import Terminal, add_trust, user_errors


@user_errors()
def main() -> None:
    """Prints what differed and what came out; writes compare.html, compare.csv and compare.md into the first folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="+", type=Path, metavar="DIR", help="a run's or a sweep's folder")
    parser.add_argument("--select", choices=("val", "test"), default="val", help="which split chooses the best setting")
    parser.add_argument("--other-data", action="store_true", help="compare runs that learnt from different data")
    add_trust(parser)
    arguments = parser.parse_args()
    places: list[Path] = arguments.places
    console = Terminal()

    from rococap.compare.comparison import compare
    from rococap.compare.growth import described, growths
    from rococap.compare.tables import legend, terminal_tables, write_csv, write_markdown
    from rococap.data.kept.files import write_whole
    from rococap.report.compare import compare_page

    with console.status("reading runs"):
        comparison = compare(places, select=arguments.select, other_data=arguments.other_data, trusted=arguments.trust)
    for table in terminal_tables(comparison, console):
        console.print(table)
    curves = [described(growth) for growth in growths(comparison, comparison.metrics[0])]
    said = [legend(comparison), *comparison.notes, *curves]
    console.print(*said, sep="\n", style="dim")
    first = places[0]
    write_csv(first / "compare.csv", comparison)
    write_markdown(first / "compare.md", comparison)
    write_whole(first / "compare.html", compare_page(comparison, ", ".join(map(str, places))))
    console.print(f"{first / 'compare.html'}", soft_wrap=True)


if __name__ == "__main__":
    main()
