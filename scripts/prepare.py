"""Examine a dataset, and prepare its images for a recipe: python scripts/prepare.py data=rocov2 data.root=DIR

Takes the words of train.py (`python train.py --help` names them). Writes report.html and report.json, prints a page,
and decodes the images that training by the same words will need. --caches shows or clears what was prepared before.
--shards DIR writes the dataset as tar files there instead, which data=webdataset reads.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.table import Table

from rococap.checks.command_line import check_command_line
from rococap.cli import Terminal, user_errors
from rococap.config import build, register
from rococap.data.kept.files import write_whole
from rococap.data.kept.folders import cache_root
from rococap.data.kept.listing import KINDS, caches, clear
from rococap.data.splits import SplitSource, available
from rococap.runs.locks import require_writable
from rococap.types import Example, Processor, Source, Split, UserError

if TYPE_CHECKING:
    from rococap.data.doctor.examination import Examination

CONF = Path(__file__).resolve().parents[1] / "conf"
STYLES = {"wrong": "bold red", "odd": "yellow", "right": "green"}
console = Terminal()


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="setting=value", help="as for train.py")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the reports go")
    parser.add_argument("--shards", type=Path, metavar="DIR", help="write the dataset as shards; no report then")
    parser.add_argument("--shard-size", type=int, default=256, metavar="MB", help="about, of each of them; 256")
    parser.add_argument("--caches", choices=("list", "clear"), help="of all datasets; nothing else is done then")
    return parser.parse_intermixed_args()


@user_errors()
def main() -> None:
    """Examine first, since a user waits for it; then prepare."""
    arguments = parse_arguments()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if arguments.caches:
        show_caches(clearing=arguments.caches == "clear")
        return
    cfg = composed(arguments.words)
    require_writable(arguments.out)
    for name in ("rococap.data.splits", "rococap.data.kept.images"):  # the reports tell it better
        logging.getLogger(name).setLevel(logging.ERROR)
    source = build(cfg.data.source)
    readers = [logging.getLogger(f"rococap.data.{name}") for name in ("lines", "own", "webdataset")]
    for reader in readers:  # which columns are taken, and how splits are made
        reader.setLevel(logging.INFO)
    there, missing = available(source)
    for reader in readers:  # the data is read once more, for the images to decode
        reader.setLevel(logging.ERROR)
    if not there:  # said before anything heavy is imported
        raise next(iter(missing.values()))
    if arguments.shards is not None:
        shard(source, there, arguments.shards, arguments.shard_size)
        return

    from rococap.data.doctor.examination import examine
    from rococap.models.processor import HFProcessor
    from rococap.report.doctor import doctors_page
    from rococap.report.doctor_summary import as_json

    processor = processor_here(cfg)
    captions = processor if isinstance(processor, HFProcessor) else None
    found = examine(source, None if captions is None else lambda text: len(captions.tokens(text, 1 << 30)[0]))
    report = json.dumps(as_json(found), indent=1, ensure_ascii=False)
    page = doctors_page(found, str(cfg.data.root or cfg.data.source._target_))
    for name, text in (("report.json", report), ("report.html", page)):
        write_whole(arguments.out / name, text)
    show(found, arguments.out)
    if processor is not None:
        decode_ahead(cfg, processor)


def composed(words: list[str]) -> DictConfig:
    """The recipe; raises UserError with all that is wrong in the words."""
    if refused := [word for word in words if word.lstrip("+~").startswith("hydra.")]:
        raise UserError(f"{refused[0]}: nothing runs here that would need it. Where the reports go: --out DIR.")
    register()
    check_command_line(CONF, argv=words)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", words)


def processor_here(cfg: DictConfig) -> Processor | None:
    """The model's image size and tokenizer, if the model is on this machine: nothing is downloaded for a report."""
    from rococap.models.offline import offline
    from rococap.recipe.recipe import network_node

    logging.getLogger("rococap.models.hub").setLevel(logging.WARNING)
    try:
        with offline():
            processor: Processor = build(network_node(cfg.model)).processor
    except UserError:  # training will say what it lacks, or download it
        console.print(
            "This recipe's model is not on this machine, and nothing is downloaded for a report: no tokens are counted "
            "and no images decoded ahead. Training does both.",
            style="dim",
        )
        return None
    return processor


def show(found: Examination, out: Path) -> None:
    """One page for the terminal."""
    from rococap.report.doctor_summary import Finding, findings, overview

    header, rows = overview(found)
    table = Table(title=found.edition, title_justify="left", title_style="bold")
    for name in header:
        table.add_column(name, no_wrap=not name)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for finding in findings(found) or [Finding("right", "Nothing is wrong.")]:
        console.print(finding.text, style=STYLES[finding.level])
    console.print(f"fingerprint {found.fingerprint}\n{out / 'report.html'}, {out / 'report.json'}", soft_wrap=True)


def decode_ahead(cfg: DictConfig, processor: Processor) -> None:
    """Decode what training by this recipe will ask for; what the cache has already is left."""
    from rococap.data.streamed import Streamed
    from rococap.recipe.parts import data_for
    from rococap.recipe.recipe import Recipe

    recipe = Recipe.of(cfg)
    data = data_for(recipe, processor)
    ready = {split: data.dataset(split).images for split in available(recipe.source)[0]}
    kept = {split: len(images.examples) for split, images in ready.items() if not isinstance(images, Streamed)}
    counts = ", ".join(f"{count:,} of {split}" for split, count in kept.items())
    console.print(f"Decoded for this recipe: {counts} (data.fraction={cfg.data.fraction}).")
    if kept.keys() != ready.keys():
        console.print("Training decodes its own images in each epoch, and keeps none (data.stream).")


def shard(source: Source, splits: dict[Split, list[Example]], folder: Path, megabytes: int) -> None:
    """Write a dataset as shards. What is left out of them is what training would leave out, and is told."""
    from rococap.data.shards.writing import write_shards

    if megabytes < 1:
        raise UserError(f"--shard-size {megabytes}: a shard has one MB at least.")
    problems = source.problems if isinstance(source, SplitSource) else lambda split: {}
    for split in splits:
        for problem, names in problems(split).items():
            console.print(f"{split}: {len(names):,} {problem} (first: {', '.join(names[:3])})", style="yellow")
    counts, unreadable = write_shards(splits, folder, megabytes << 20)
    if unreadable:
        shown = "; ".join(list(unreadable.values())[:3])
        console.print(f"{len(unreadable):,} images cannot be read and are left out: {shown}", style="bold red")
    said = ", ".join(f"{images:,} of {split} in {shards}" for split, (images, shards) in counts.items())
    console.print(f"Shards in {folder}: {said}.\npython train.py data=webdataset data.root={folder}", soft_wrap=True)


def show_caches(*, clearing: bool) -> None:
    """What lies in the cache; where `clearing`, delete it, but for what a run is writing to at the moment."""
    table = Table(title=f"Caches in {cache_root()}", title_justify="left")
    for name in ("kind", "dataset and method", "size", "last added to", *(["now"] if clearing else [])):
        table.add_column(name, justify="right" if name == "size" else "left", overflow="fold")
    for cache in caches():
        age = f"{cache.age / 86_400:.0f} days ago" if cache.age > 172_800 else f"{cache.age / 3600:.1f} hours ago"
        done = [] if not clearing else ["cleared" if clear(cache) else "kept in part: a run is writing to it"]
        table.add_row(KINDS[cache.kind], cache.name, f"{cache.size / 1e6:,.1f} MB", age, *done)
    console.print(table)


if __name__ == "__main__":
    main()
