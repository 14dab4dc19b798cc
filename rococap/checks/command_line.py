"""Answers a wrong command line at second zero: every mistake at once, each with the nearest right name."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import OmegaConf

from rococap.checks.config import Problem
from rococap.checks.jobs import Composer
from rococap.checks.launchers import launcher_fault
from rococap.checks.overrides import axes, parse, sweep_fault, values
from rococap.cli import with_progress
from rococap.config import untyped_root
from rococap.processes.identity import this_process
from rococap.types import UserError

_GRIDS = {"hydra_plugins.rococap.Grid", "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"}


def check_command_line(conf: Path, config_name: str = "train", argv: Sequence[str] | None = None) -> None:
    """Compose what a Hydra command asks for as hydra.main will, and check it; of a sweep, each job.

    Raises:
        UserError: all that is wrong, a line each.
    """
    args = get_args_parser().parse_args(argv)
    if args.help or args.hydra_help or args.info or args.shell_completion or args.experimental_rerun:
        return
    search_path = create_config_search_path(str((conf.parent / (args.config_path or conf)).resolve()))
    if args.config_dir:
        if not (folder := Path(args.config_dir).resolve()).is_dir():
            raise UserError(f"--config-dir {args.config_dir}: no such folder")
        search_path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    version.setbase("1.3")
    hydra = Hydra.create_main_hydra2("check", search_path)
    try:
        with untyped_root():
            composer = Composer(hydra, args.config_name or config_name, args.overrides)
            found = list(dict.fromkeys(_problems(composer, args.overrides, bool(args.multirun), bool(args.cfg))))
    finally:
        GlobalHydra.instance().clear()
    if len(found) == 1:
        raise UserError(str(found[0]))
    if found:
        lines = "\n".join(f"  {problem}" for problem in found)
        raise UserError(f"{len(found)} mistakes, nothing was started:\n{lines}")


def _problems(composer: Composer, line: list[str], multirun: bool, shows: bool) -> list[Problem]:
    overrides, found = parse(line, composer.groups.loader)
    sweeping = [override for override in overrides if override.is_sweep_override()]
    cfg, wrong = composer.job([override for override in overrides if override not in sweeping])
    if cfg is None:
        return found + wrong
    if shows and sweeping:
        said = "several values, and --cfg shows one run: give one of them"
        return found + wrong + [Problem(str(override.input_line), said) for override in sweeping]
    if not multirun and cfg.hydra.mode != RunMode.MULTIRUN:
        said = "several values: add -m to run each of them (a list is written in brackets, text in quotes)"
        return found + wrong + [Problem(str(override.input_line), said) for override in sweeping]
    for part in ("launcher", "sweeper"):
        if fault := launcher_fault(cfg.hydra[part]._target_):
            found.append(Problem(f"hydra/{part}", fault))
    params, unread = parse(
        [f"{k}={v}" for k, v in (cfg.hydra.sweeper.get("params") or {}).items()], composer.groups.loader
    )
    searches = cfg.hydra.sweeper._target_ not in _GRIDS
    swept = axes(params, overrides)
    faults = {str(override.input_line): sweep_fault(override, searches) for override in swept}
    unread += [Problem(line, fault) for line, fault in faults.items() if fault]
    values_of = [_values(override, composer, searches) for override in swept if not faults[str(override.input_line)]]
    asked = [value.value() for axis in values_of for value in axis if value.key_or_group == "trainer.devices"]
    if cfg.hydra.mode == RunMode.MULTIRUN or multirun:
        if (process := this_process()).count > 1:
            found.append(Problem("-m", f"one process starts a sweep, and {process.starter} started {process.count}"))
        several = any(devices != 1 for devices in asked or [OmegaConf.select(cfg, "trainer.devices")])
        found += [Problem("trainer.devices", "must be 1 in a sweep: each job has one device")] * several
    return found + unread + list(_sweep(composer, values_of, not searches))


def _sweep(composer: Composer, axes: list[list[Override]], all_jobs: bool) -> Iterator[Problem]:
    """What is wrong with any value of a sweep; where nothing is, and with `all_jobs`, with any of its jobs."""
    first = [axis[0] for axis in axes]
    singles = [first, *([*first[:i], v, *first[i + 1 :]] for i, axis in enumerate(axes) for v in axis[1:])]
    others = (list(job) for job in itertools.product(*axes) if sum(map(operator.is_not, job, first)) > 1)
    jobs = itertools.chain(singles, others) if all_jobs else singles
    number = math.prod(map(len, axes)) if all_jobs else len(singles)
    seen: set[Problem] = set()
    for checked, job in enumerate(with_progress(jobs, number, "jobs", "Checking jobs", lambda job: 1)):
        if checked == len(singles) and seen:
            return
        yield from _job(composer, job, seen)


def _job(composer: Composer, job: list[Override], seen: set[Problem]) -> Iterator[Problem]:
    """What is wrong in a job and was not said yet."""
    for problem in composer.job(job)[1]:
        if problem not in seen:
            seen.add(problem)
            yield problem


def _values(override: Override, composer: Composer, searches: bool) -> list[Override]:
    """One override for each value that a sweep gives it; for every choice and both ends of each range in a search."""
    return parse(values(override, searches), composer.groups.loader)[0]
