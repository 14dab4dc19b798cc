"""Whether what runs the jobs of a sweep is installed."""

from __future__ import annotations

from importlib.util import find_spec

_JOBLIB = ("hydra_plugins.hydra_joblib_launcher", "joblib")
_SUBMITIT = ("hydra_plugins.hydra_submitit_launcher", "submitit")
# The module that is needed, and the extra that brings it: by the class of a launcher or a sweeper, and by those choices
# of `hydra/launcher` that come with the module.
_NEEDS = {
    "RayLauncher": ("ray", "ray"),
    "Search": ("optuna", "optuna"),
    "SlurmLauncher": _SUBMITIT,
    "joblib": _JOBLIB,
    "submitit_local": _SUBMITIT,
    "submitit_slurm": _SUBMITIT,
}


def launcher_fault(name: str) -> str | None:
    """What is wrong with a choice of `hydra/launcher`, or a `_target_` of it or `hydra.sweeper`, if anything is."""
    module, extra = _NEEDS.get(name.rpartition(".")[2], (None, None))
    if module is None or _is_there(module):
        return None
    return f'needs a package that is not installed: pip install -c constraints.txt -e ".[{extra}]"'


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it lies in
        return False
