"""Makes the sweepers, and a launcher of our own, known to Hydra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from rococap.checks.launchers import launcher_fault
from rococap.sweeps.ray_launcher import RayLauncher
from rococap.sweeps.search import Search
from rococap.sweeps.sweeper import Grid

_PACKAGE = "hydra_plugins.rococap"  # Hydra takes plug-ins from `hydra_plugins` only, by name; no such folder is needed

_SUBMITIT = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"


@dataclass
class GridConfig:
    """`hydra/sweeper=basic`, Hydra's default."""

    _target_: str = f"{_PACKAGE}.Grid"
    params: dict[str, Any] | None = None


def register_sweepers() -> None:
    """Put the grid, and submitit's launchers, in the place of Hydra's own, and let config files name the search."""
    plugins = Plugins.instance()  # which stores Hydra's own when it is first asked for
    for plugin in (Grid, Search, RayLauncher):
        plugins.class_name_to_class[f"{_PACKAGE}.{plugin.__name__}"] = plugin
    if launcher_fault("submitit_local") is None:
        from rococap.sweeps.submitit_launchers import LocalLauncher, SlurmLauncher

        for launcher in (LocalLauncher, SlurmLauncher):
            plugins.class_name_to_class[f"{_SUBMITIT}.{launcher.__name__}"] = launcher
    ConfigStore.instance().store(group="hydra/sweeper", name="basic", node=GridConfig, provider="rococap")
