"""The shape of the tree: who may import whom, how large a file may be, what stays out of the quick path."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rococap"

# Imports run only downward: a room imports from levels above its own line here, and within itself. Rooms of one level
# know nothing of each other: that is why N datasets and M models cost N + M files.
LEVELS = (
    {"types"},
    {"config", "processes"},
    {"cli"},
    {"data", "models", "checks"},
    {"metrics"},
    {"runs"},
    {"recipe", "loggers", "sweeps"},
    {"evaluation"},
    {"training", "compare"},  # training is handed its report from above, and knows no page
    {"study"},
    {"report"},
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


def name_of(path):
    """rococap/data/image.py -> rococap.data.image."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imported_files(path):
    """The modules of rococap that a file imports, those for the type checker only left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    left_out = {id(inner) for node in typing for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in left_out and str(node.module).startswith("rococap"):
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


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
    """No __init__.py exports anything: it says what lives there, what it may import, and where its front door is."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    for folder in folders:
        tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
        assert len(tree.body) == 1 and ast.get_docstring(tree), folder
        if folder != PACKAGE:
            text = " ".join(ast.get_docstring(tree).split())
            assert "Imports " in text and re.search(r"Front doors?: ", text), folder
            doors = re.findall(r"`([a-z_0-9]+)(?:\.\w+)?`", text.partition("Front door")[2])
            assert [door for door in doors if not (folder / f"{door}.py").is_file()] == [], folder


def test_no_circle_between_files():
    """Within a room too: two files that import each other are one."""
    imports = {name_of(path): set(imported_files(path)) - {name_of(path)} for path in PACKAGE.rglob("*.py")}
    while leaves := {name for name, others in imports.items() if not others & imports.keys()}:
        imports = {name: others for name, others in imports.items() if name not in leaves}
    assert imports == {}


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
    places += ["CHANGELOG.md", "CITATION.cff", ".github", ".pre-commit-config.yaml"]
    files = [file for place in places for file in [ROOT / place, *(ROOT / place).rglob("*")] if file.is_file()]
    text = {".py", ".yaml", ".yml", ".cff", ".md", ".toml", ".txt", ".json", ".svg"}
    pointing = [file for file in files if file.suffix in text and "../shared" in file.read_text(encoding="utf-8")]
    assert len(files) > 50 and pointing == []


def test_no_test_asserts_only_by_not_raising():
    """A test says what it looks at: by an assertion of its own, a refusal, or a helper that is named assert_."""
    silent = [
        f"{path.relative_to(ROOT)}::{test.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for test in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_") and not any(map(asserts, ast.walk(test)))
    ]
    assert silent == []


def asserts(node):
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        return name in {"raises", "warns"} or name.startswith("assert_")
    return isinstance(node, ast.Assert)
