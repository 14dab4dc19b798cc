"""The shape of the tree: who may import whom, how large a file may be, what stays out of the quick path."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rococap"

# Imports run only downward: a part imports from levels above its own line here, and within itself. Parts of one level
# know nothing of each other: that is why N datasets and M models cost N + M files.
LEVELS = (
    {"types", "phantom_words", "environment", "gpus"},
    {"config", "cli", "data", "models", "metrics", "augment", "optim", "precision", "predictions", "folders"},
    {"checks", "foreign", "results", "scaling", "slices", "submission"},
    {"records", "scored", "wandb_segments"},
    {"statistics", "wandb_run"},
    {"changes", "module", "callbacks", "captioning", "loggers"},
    {"building"},
    {"baselines"},
    {"evaluation", "compare", "claims"},
    {"training", "report", "sweeps"},  # training is handed its picture from above, and knows no page
    {"benchmark"},
    {"train.py", "scripts"},
)
LEVEL = {part: number for number, parts in enumerate(LEVELS) for part in parts}
PYTHON = sorted(
    path
    for place in ("rococap", "scripts", "tests", "train.py")
    for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
)
SOURCES = [path for path in PYTHON if not path.is_relative_to(ROOT / "tests")]


def part_of(path):
    """rococap/data/image.py -> data; scripts/score.py -> scripts; train.py -> train.py."""
    steps = path.relative_to(ROOT).parts
    return steps[0] if steps[0] != "rococap" else steps[1].removesuffix(".py")


def imported_parts(path):
    """The parts of rococap that a file imports, anywhere in it, be it for the type checker only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("rococap."))


def test_every_part_has_a_level():
    parts = {part_of(path) for path in SOURCES} - {"__init__"}
    assert parts == set(LEVEL)


@pytest.mark.parametrize("part", sorted(LEVEL))
def test_imports_run_downward(part):
    wrong = {
        f"{path.relative_to(ROOT)} imports {other}"
        for path in SOURCES
        if part_of(path) == part
        for other in imported_parts(path)
        if other != part and LEVEL[other] >= LEVEL[part]
    }
    assert not wrong


def test_each_name_has_one_import_path():
    assert [path for path in PACKAGE.rglob("__init__.py") if path.read_text(encoding="utf-8")] == []
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_files_are_small():
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    assert {name: count for name, count in lines.items() if count > 300} == {}
    assert [name for name in lines if name.endswith("utils.py")] == []


def test_the_quick_path_imports_nothing_heavy():
    """What answers --help and a misspelt word; the rest is imported once the command is known to be right."""
    names = ["types", "config", "cli", *(f"checks.{path.stem}" for path in (PACKAGE / "checks").glob("[!_]*.py"))]
    heavy = {"torch", "pytorch_lightning", "transformers", "peft", "wandb", "datasets", "matplotlib", "pycocoevalcap"}
    code = f"import {', '.join(f'rococap.{name}' for name in names)}; import sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stdout + done.stderr


def test_nothing_shipped_points_beside_the_checkout():
    places = ["rococap", "conf", "scripts", "train.py", "README.md", "docs", "pyproject.toml", "constraints.txt"]
    files = [file for place in places for file in [ROOT / place, *(ROOT / place).rglob("*")] if file.is_file()]
    text = {".py", ".yaml", ".md", ".toml", ".txt", ".json", ".svg"}
    pointing = [file for file in files if file.suffix in text and "../shared" in file.read_text(encoding="utf-8")]
    assert len(files) > 50 and pointing == []
