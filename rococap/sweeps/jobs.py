"""The jobs of a sweep: what each is given, and the folder that it has."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override, Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

from rococap.checks.jobs import Composer
from rococap.checks.overrides import parse
from rococap.runs.changes import weighty
from rococap.runs.folder import RunFolder
from rococap.runs.locks import ASIDE
from rococap.types import UserError

_LONGEST = 120  # bytes of a name; file systems take 255, W&B 128


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    overrides: tuple[str, ...]  # of its command line
    recipe: DictConfig
    folder: RunFolder

    def command(self) -> list[str]:
        """What a launcher is given: the overrides, and where the job lives."""
        places = {"hydra.sweep.dir": str(self.folder.path.parent), "hydra.sweep.subdir": self.folder.path.name}
        quoted = [f"{key}={QuotedString(text, Quote.double).with_quotes()}" for key, text in places.items()]
        return [*self.overrides, *quoted]


class Jobs:
    """Gives each job of a sweep its recipe and its folder."""

    def __init__(self, path: Path, hydra: HydraConf) -> None:
        """Takes the sweep's folder, and Hydra's own node of its config."""
        self.path = path
        line = [str(word) for word in hydra.overrides.hydra]
        loader = GlobalHydra.instance().hydra
        assert loader is not None and hydra.job.config_name is not None
        self._composer = Composer(loader, hydra.job.config_name, line)

    def job(self, overrides: Sequence[str], swept: Collection[str]) -> Job:
        """A job by its overrides, of which those with the keys `swept` name its folder.

        A folder that has the same recipe by another name is taken in place of a new one: a grid that gets another axis
        runs only what is missing. What is swept must be the same there even where it can't change weights.
        """
        parsed = self.parsed(overrides)
        recipe = self._composer.recipe(parsed)
        folder, settings = RunFolder(self.path / folder_name(parsed, swept)), weighty(recipe)
        if self._there.get(folder) != settings:
            paths = [_path(override) for override in parsed if override.get_key_element() in swept]
            others = (other for other, its in self._there.items() if its == settings)
            folder = next((other for other in others if _agree(other.config, recipe, paths)), folder)
        return Job(tuple(overrides), recipe, folder)

    def recipe(self, overrides: Sequence[str]) -> DictConfig:
        """What overrides compose to."""
        return self._composer.recipe(self.parsed(overrides))

    def choices(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The choice of each config group that overrides, and the files that they choose, lead to."""
        return self._composer.choices(self.parsed(overrides))

    def parsed(self, overrides: Sequence[str]) -> list[Override]:
        """Overrides as Hydra reads them; raises UserError with all that can't be read."""
        parsed, problems = parse(list(overrides), self._composer.groups.loader)
        if problems:
            raise UserError("\n".join(map(str, problems)))
        return parsed

    @cached_property
    def _there(self) -> dict[RunFolder, dict[str, Any]]:
        """The jobs that were there when the sweep was started, with the settings that make their weights."""
        files = sorted(self.path.glob("*/config.yaml"))
        folders = [RunFolder(file.parent) for file in files if ASIDE not in file.parent.name]
        return {folder: weighty(folder.config) for folder in folders}


def _path(override: Override) -> str:
    """Of what an override sets or chooses, in the config."""
    return (override.package or override.key_or_group).replace("/", ".")


def _agree(one: DictConfig, other: DictConfig, paths: Sequence[str]) -> bool:
    return all(OmegaConf.select(one, path) == OmegaConf.select(other, path) for path in paths)


def folder_name(overrides: Sequence[Override], swept: Collection[str]) -> str:
    """`data.fraction=0.1,lora.rank=4`: the swept overrides, sorted. A job with none is named by all that it is given.

    What no folder's name can hold is replaced, and what is too long is cut; a hash then tells such names apart.
    """
    lines = {override.get_key_element(): str(override.input_line) for override in overrides}
    kept = [line for key, line in lines.items() if key in swept]
    kept = kept or [line for key, line in lines.items() if key not in {"name", "on_change"}]
    name = ",".join(sorted(line.lstrip("+") for line in kept)) or "job"
    safe = re.sub(r"[^\w.+=,@%-]", "_", name, flags=re.ASCII)
    if safe == name and len(name) <= _LONGEST:
        return name
    return f"{safe[: _LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
