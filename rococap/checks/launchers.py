"""Whether what runs the jobs of a sweep is installed."""

from __future__ import annotations

from importlib.util import find_spec

# By the class of a launcher or a sweeper: the module that it needs, and the extra that brings it.
_NEEDS = {
    "JoblibLauncher": ("hydra_plugins.hydra_joblib_launcher", "joblib"),
    "LocalLauncher": ("hydra_plugins.hydra_submitit_launcher", "submitit"),
    "RayLauncher": ("ray", "ray"),
    "Search": ("optuna", "optuna"),
    "SlurmLauncher": ("hydra_plugins.hydra_submitit_launcher", "submitit"),
}


def launcher_fault(target: str) -> str | None:
    """What is wrong with the `_target_` of `hydra.launcher` or `hydra.sweeper`, if anything is."""
    module, extra = _NEEDS.get(target.rpartition(".")[2], (None, None))
    if module is None or _is_there(module):
        return None
    return f'needs a package that is not installed: pip install -c constraints.txt -e ".[{extra}]"'


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it lies in
        return False
