"""Let people judge captions without knowing whose they are.

python scripts/reader_study.py RUN... --out DIR               a blinded sheet of test images with the runs' captions and
                                                              the reference: DIR/for_readers, and its key, DIR/key.json
python scripts/reader_study.py --score SHEET.csv... --out DIR  what the sheets that came back say, and of whom

Hand out DIR/for_readers alone. Not for clinical use.
"""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

from rococap.cli import Terminal, add_trust, user_errors
from rococap.runs.place import add_root, with_root

KEY, HANDED_OUT = "key.json", "for_readers"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="folders of runs or sweeps with captions")
    parser.add_argument("--out", type=Path, default=Path("reader_study"), metavar="DIR", help="the study's folder")
    parser.add_argument("--score", type=Path, nargs="+", metavar="SHEET", help="sheets that readers gave back")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--images", type=int, metavar="N", help="how many; as --difference needs where left out")
    size.add_argument(
        "--difference",
        type=float,
        default=0.15,
        metavar="D",
        help="the smallest that is to be seen, of preferences from one half: 0.15 is 65 to 35 (the usual one)",
    )
    add_trust(parser)
    add_root(parser)
    arguments = parser.parse_args()
    if bool(arguments.runs) == bool(arguments.score):
        parser.error("give folders of runs, or --score and the sheets that came back")
    if arguments.images is not None and arguments.images < 1:
        parser.error("--images must be 1 at least")
    if not 0 < arguments.difference <= 0.5:
        parser.error("--difference must be more than 0 and at most 0.5")
    return arguments


@user_errors()
def main() -> None:
    """Make a study, or score one."""
    arguments = parse_arguments()
    if arguments.score:
        score_sheets(arguments.score, arguments.out)
    else:
        make_sheet(arguments)


def make_sheet(arguments: argparse.Namespace) -> None:
    """Write what readers get, and the key."""
    from rococap.compare.gather import SPLIT
    from rococap.compare.runs import find_runs
    from rococap.config import build
    from rococap.data.kept.files import write_whole
    from rococap.report.reader_sheet import sheet_page
    from rococap.runs.locks import require_writable
    from rococap.study.key import captions_of, draw, systems_of
    from rococap.study.sheet import sheet_of
    from rococap.study.size import difference_seen, images_needed

    console, out = Terminal(), arguments.out
    with console.status("reading runs"):
        runs = find_runs(arguments.runs, trusted=arguments.trust)
        said = captions_of(runs)
        source = build(with_root(runs[0].folder.recipe, arguments.root).data.source)
        examples = {example.id: example for example in source.examples(SPLIT)}
    systems = systems_of(runs, said[0])
    wanted = arguments.images or images_needed(arguments.difference, len(systems))
    key = draw(runs, said, wanted, secrets.token_hex(16))
    require_writable(out)
    sheet = sheet_of(key, examples)
    drawn = sheet_page(sheet)
    key.write(out / KEY)
    folder = out / HANDED_OUT
    folder.mkdir(exist_ok=True)
    write_whole(folder / "sheet.html", drawn)
    write_whole(folder / "sheet.csv", sheet.table())
    console.print(f"{len(key.entries):,} of {len(said[0]):,} images, captions of {', '.join(systems)}", soft_wrap=True)
    if wanted > len(key.entries):
        console.print(f"there are no more; {wanted:,} were wanted", style="yellow")
    seen = 0.5 + difference_seen(len(key.entries), len(systems))
    what = (
        f"that one is preferred to another in {seen:.0%} of images or more"
        if seen <= 1
        else "nothing, of so few images"
    )
    console.print(f"seen in 4 of 5 such studies: {what}", soft_wrap=True)
    console.print(f"hand out {folder}; keep {out / KEY} to yourself: it says whose each caption is", soft_wrap=True)


def score_sheets(files: list[Path], out: Path) -> None:
    """Read what came back, and say what it says."""
    from rococap.study.key import read_key
    from rococap.study.returned import read_answers
    from rococap.study.scores import score
    from rococap.study.tables import RESULTS, UNBLINDED, legend, terminal_tables, write_outcome, write_unblinded

    console = Terminal()
    key = read_key(out / KEY)
    answers = read_answers(files, key)
    with console.status("scoring"):
        outcome = score(key, answers)
    for table in terminal_tables(outcome):
        console.print(table)
    console.print(legend(outcome), style="dim")
    write_outcome(out, outcome)
    write_unblinded(out, key, answers)
    console.print(f"{out / RESULTS}, {out / UNBLINDED}", soft_wrap=True)


if __name__ == "__main__":
    main()
