"""Finds a dotted name in Python source. Imports nothing: `torch.optim.AdamW` costs the reading of a few files."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

Callee = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_Seen = frozenset[tuple[str, str]]  # ends circles such as torch's `from torch import optim as optim`


class NoSuchName(LookupError):
    """A name that is certainly not there; the message says where it was looked for, and the nearest right one."""


@dataclass(frozen=True)
class Module:
    """A module or package by its files."""

    name: str
    file: Path | None  # None: a namespace package
    folders: tuple[Path, ...] = ()  # where a package's submodules lie


@dataclass(frozen=True)
class Definition:
    """A class, a function, or the expression that a name was set to."""

    module: Module
    node: Callee | ast.expr


Found = Module | Definition | None  # None: compiled, or made at run time; nothing can be said of it


@cache
def find(target: str) -> Found:
    """What a dotted name stands for; raises NoSuchName."""
    return _find(target, frozenset())


def evaluate(module: Module, expression: ast.expr, seen: _Seen = frozenset()) -> Found:
    """What an expression of names and dots stands for in a module; None where it is more than that, or unknown."""
    try:
        match expression:
            case ast.Name(name) if not hasattr(builtins, name):
                return _in_module(module, name, seen)
            case ast.Attribute(value, name):
                return _member(evaluate(module, value, seen), name, seen)
    except NoSuchName:
        pass
    return None


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """`; did you mean ...?` with the nearest right name, or nothing."""
    nearest = get_close_matches(wrong, list(right), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _find(target: str, seen: _Seen) -> Found:
    top, *rest = target.split(".")
    found: Found = _top_level(top)
    for part in rest:
        found = _member(found, part, seen)
    return found


def _top_level(name: str) -> Module | None:
    try:
        spec = find_spec(name)
    except ValueError:  # in sys.modules without a spec, such as __main__
        return None
    if spec is None:
        raise NoSuchName(f"no package {name!r}: {_remedy(name)}")
    folders = tuple(Path(folder) for folder in spec.submodule_search_locations or ())
    if spec.origin is None and folders:
        return Module(name, None, folders)
    return Module(name, Path(spec.origin), folders) if spec.origin and spec.origin.endswith(".py") else None


def _remedy(package: str) -> str:
    """What to do about a package that is not there: install rococap's extra that brings it, if one does."""
    with suppress(metadata.PackageNotFoundError):  # rococap itself, where it runs from a checkout only
        for requirement in metadata.requires("rococap") or ():
            if match := re.fullmatch(rf"{package}\b[^;]*; extra == ['\"](\w+)['\"]", requirement):
                return f'not installed: pip install -c constraints.txt -e ".[{match[1]}]"'
    return "misspelt, or not installed"


def _member(owner: Found, name: str, seen: _Seen) -> Found:
    if isinstance(owner, Module):
        return _in_module(owner, name, seen)
    if owner is None or not isinstance(owner.node, ast.ClassDef):
        return None
    methods = {node.name: node for node in owner.node.body if isinstance(node, Callee)}
    if name in methods:
        return Definition(owner.module, methods[name])
    for base in owner.node.bases:
        return _member(evaluate(owner.module, base, seen), name, seen)
    raise NoSuchName(f"no {name!r} in {owner.module.name}.{owner.node.name}{did_you_mean(name, methods)}")


def _in_module(module: Module, name: str, seen: _Seen) -> Found:
    if (module.name, name) not in seen:
        seen |= {(module.name, name)}
        for statement in reversed(_names(module).get(name, [])):
            if (found := _bound(module, statement, name, seen)) is not None:
                return found
    names = _names(module)
    try:
        return _submodule(module, name)
    except NoSuchName:
        if name in names or "__getattr__" in names or _is_lazy(module):
            return None
        for star in names.get("*", []):
            assert isinstance(star, ast.ImportFrom)
            try:
                return _imported(module, star, name, seen)
            except NoSuchName:
                continue
        raise


def _submodule(package: Module, name: str) -> Found:
    full = f"{package.name}.{name}"
    for folder in package.folders:
        if (file := folder / name / "__init__.py").is_file():
            return Module(full, file, (folder / name,))
        if (file := folder / f"{name}.py").is_file():
            return Module(full, file)
        if (folder / name).is_dir():
            return Module(full, None, (folder / name,))
        if any(file.suffix in {".so", ".pyd"} for file in folder.glob(f"{name}.*")):
            return None
    modules = (path.stem for folder in package.folders for path in folder.iterdir() if not path.stem.startswith("_"))
    raise NoSuchName(f"no {name!r} in {package.name}{did_you_mean(name, [*_names(package), *modules])}")


def _bound(module: Module, statement: ast.stmt, name: str, seen: _Seen) -> Found:
    """What a statement makes of a name."""
    match statement:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            return Definition(module, statement)
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            if isinstance(value, ast.Constant):  # `A = None` where an import failed
                return None
            return evaluate(module, value, seen) or Definition(module, value)
        case ast.ImportFrom(names=names):
            original = next(alias.name for alias in names if (alias.asname or alias.name) == name)
            try:
                return _imported(module, statement, original, seen)
            except NoSuchName:  # an optional package that is not installed
                return None
        case ast.Import(names=names):
            alias = next(alias for alias in names if _import_name(alias) == name)
            try:
                return _find(alias.name if alias.asname else name, seen)
            except NoSuchName:
                return None
    return None


def _imported(module: Module, statement: ast.ImportFrom, name: str, seen: _Seen) -> Found:
    """`name` from the module that a `from ... import` statement names."""
    parts = module.name.split(".") if module.folders else module.name.split(".")[:-1]
    package = parts[: len(parts) - statement.level + 1] if statement.level else []
    return _member(_find(".".join([*package, *filter(None, [statement.module])]), seen), name, seen)


def _import_name(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


@cache
def _names(module: Module) -> dict[str, list[ast.stmt]]:
    """The statements that bind each name at a module's top level; `*` gives the star imports."""
    names: dict[str, list[ast.stmt]] = {}
    body = ast.parse(module.file.read_bytes()).body if module.file else []
    for statement in _flat(body):
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                bound = [name]
            case ast.Assign(targets=targets):
                bound = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                bound = [name]
            case ast.ImportFrom(names=aliases):
                bound = [alias.asname or alias.name for alias in aliases]
            case ast.Import(names=aliases):
                bound = [_import_name(alias) for alias in aliases]
            case _:
                bound = []
        for name in bound:
            names.setdefault(name, []).append(statement)
    return names


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements, also those inside `if` and `try`."""
    for statement in body:
        match statement:
            case ast.If(body=first, orelse=second):
                yield from _flat(first + second)
            case ast.Try(body=first, handlers=handlers, orelse=second):
                yield from _flat([*first, *second, *(s for handler in handlers for s in handler.body)])
            case _:
                yield statement


def _is_lazy(module: Module) -> bool:
    """Whether a package puts something else in its place when imported, as transformers does."""
    return module.file is not None and b"sys.modules[__name__]" in module.file.read_bytes()
