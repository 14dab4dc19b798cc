"""What opens a folder from someone else, asks whether a run goes on, and deletes."""

from mutation import Mutation as M

TRUST = "rococap/runs/trust.py"
LOCK = "rococap/runs/lock.py"
CLEANING = "rococap/runs/cleaning.py"

FOLDERS = [
    M(
        "any link is followed to runs",
        "rococap/runs/found.py",
        "not any(target.is_relative_to(each) for each in seen) and _holds_runs(link)",
        "not any(target == each for each in seen) and _holds_runs(link)",
        "scripts/test_runs.py -klinked",
    ),
    M(
        "a checkpoint that is being written needs no room",
        "rococap/training/space.py",
        "min(epochs, kept + 2)) + 2",
        "min(epochs, kept + 2)) + 1",
        "training/test_space.py",
    ),
    M(
        "what an optimizer keeps needs no room",
        "rococap/training/space.py",
        "(1 + _kept_share(optimizer, device))",
        "1",
        "training/test_space.py",
    ),
    M(
        "what another group may have is built",
        TRUST,
        "target in shipped().get(group, ())",
        "any(target in targets for targets in shipped().values())",
        "runs/test_trust.py -kby_name",
    ),
    M(
        "what a library imports is its own",
        TRUST,
        'any(defined.startswith(f"{library}.")',
        'any(target.startswith(f"{library}.")',
        "runs/test_trust.py -kby_name",
    ),
    M(
        "what lies in a list is built",
        TRUST,
        "    elif isinstance(value, list):\n        for index, each in enumerate(value):",
        "    elif isinstance(value, list):\n        for index, each in enumerate(value[:0]):",
        "runs/test_trust.py -kdeep",
    ),
    M(
        "a program is started",
        TRUST,
        "if node.get(name) is not None and",
        "if node.get(name) is None and",
        "runs/test_trust.py -kprogram",
    ),
    M(
        "a link leads out of the folder",
        TRUST,
        "if stat.S_ISLNK(kind) and not path",
        "if stat.S_ISLNK(kind) and path is None and not path",
        "runs/test_trust.py -klinks",
    ),
    M(
        "a secret of the environment is looked up",
        "rococap/runs/recipe_file.py",
        r'return _REFERENCE.sub(r"\1\1\\${", value) if isinstance(value, str) else value',
        "return value",
        "runs/test_trust.py -klooked_up",
    ),
    M(
        "asking takes the lock",
        LOCK,
        "        return _kind(fcntl",
        "        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)\n        return _kind(fcntl",
        "runs/test_locks.py",
    ),
    M(
        "the last checkpoint goes",
        CLEANING,
        'folder.checkpoints / "last.ckpt", folder.last_checkpoint() or there[-1]',
        "there[-2]",
        "scripts/test_runs.py -kclean",
    ),
    M(
        "a checkpoint of a run that goes on is deleted",
        CLEANING,
        "    if not mine and is_held(run):",
        "    if mine and is_held(run):",
        "scripts/test_runs.py -kclean",
    ),
    M(
        "a cell is a formula",
        "rococap/runs/results.py",
        "writer.writerows(map(cell, row) for row in rows)",
        "writer.writerows(rows)",
        "runs/test_cells.py",
    ),
    M(
        "a terminal obeys",
        "rococap/cli.py",
        "return super().render_str(printable(text), **settings)",
        "return super().render_str(text, **settings)",
        "test_cli.py -ktext",
    ),
    M(
        "a label is a link",
        "rococap/report/page.py",
        "    drawn = _as_text(drawn)\n",
        "",
        "report/test_hostile_text.py -kcomparison",
    ),
    M(
        "a model's Python is run",
        "rococap/models/hub.py",
        'OWN_CODE_ONLY = {"trust_remote_code": False}',
        "OWN_CODE_ONLY = {}",
        "models/test_foreign_code.py",
    ),
    M(
        "trials do not see each other",
        "rococap/sweeps/search.py",
        "constant_liar=beside",
        "constant_liar=False",
        "sweeps/test_search.py -kside_by_side",
    ),
]
