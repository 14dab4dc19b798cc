"""What may be given to a target, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from rococap.checks.source import Definition, Module, NoSuchName, evaluate, find


@dataclass(frozen=True)
class Parameter:
    """One argument of a callable; its annotation's names are those of `module`."""

    module: Module
    annotation: ast.expr | None
    required: bool
    nullable: bool = False  # its default is None, whatever the annotation says


@dataclass(frozen=True)
class Signature:
    """The arguments of a callable by name, in order."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    open: bool = False  # takes **kwargs, or its source can't be read: other names are accepted


_UNKNOWN = Signature(open=True)


@cache
def signature(target: str) -> Signature:
    """The signature of a function, method or class; raises NoSuchName."""
    found = find(target)
    if isinstance(found, Module):
        raise NoSuchName("a module, where a class or a function is wanted")
    if found is None:
        return _UNKNOWN
    if isinstance(found.node, ast.ClassDef):
        return of_class(found)
    if isinstance(found.node, ast.FunctionDef | ast.AsyncFunctionDef):
        owner = find(target.rpartition(".")[0])
        method = isinstance(owner, Definition) and not _is_decorated(found.node, "staticmethod")
        return _of_function(found.module, found.node, bound=method)
    return _UNKNOWN


def is_dataclass(definition: Definition) -> bool:
    """Whether it is a class with fields."""
    return isinstance(definition.node, ast.ClassDef) and _is_decorated(definition.node, "dataclass")


def of_class(definition: Definition) -> Signature:
    """The signature of a class: its own `__init__`, its fields, or what it inherits."""
    return _of_class(definition) or Signature()


def _of_class(definition: Definition) -> Signature | None:
    """None: nothing but object's."""
    node = definition.node
    if not isinstance(node, ast.ClassDef):
        return _UNKNOWN
    methods = {child.name: child for child in node.body if isinstance(child, ast.FunctionDef)}
    if "__init__" in methods:
        return _of_function(definition.module, methods["__init__"], bound=True)
    if is_dataclass(definition):
        return Signature(dict(_fields(definition)))
    if "__new__" in methods:
        return _of_function(definition.module, methods["__new__"], bound=True)
    for base in node.bases:
        name = _last_name(base)
        if name in {"object", "ABC", "Generic", "Protocol"}:
            continue
        parent = evaluate(definition.module, base.value if isinstance(base, ast.Subscript) else base)
        inherited = _of_class(parent) if isinstance(parent, Definition) else _UNKNOWN
        if inherited is not None:
            return inherited
    return None


def _of_function(module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef, *, bound: bool) -> Signature:
    """`bound`: the first argument is not the caller's to give."""
    arguments = node.args
    by_position = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(by_position) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(by_position, defaults, strict=True)][1 if bound else 0 :]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    parameters = {
        argument.arg: Parameter(module, argument.annotation, default is None, _is_none(default))
        for argument, default in pairs
        # Settings of our own functions are plain values: an object is for the code that calls them to give.
        if not (isinstance(default, ast.Call) and module.name.startswith("rococap."))
    }
    return Signature(parameters, open=arguments.kwarg is not None)


def _fields(definition: Definition) -> Iterator[tuple[str, Parameter]]:
    """A dataclass's fields, those of its bases first. OmegaConf's MISSING is no default."""
    assert isinstance(definition.node, ast.ClassDef)
    for base in definition.node.bases:
        parent = evaluate(definition.module, base)
        if isinstance(parent, Definition) and is_dataclass(parent):
            yield from _fields(parent)
    for statement in definition.node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if _last_name(statement.annotation) in {"ClassVar", "KW_ONLY"}:
            continue
        default = statement.value
        if isinstance(default, ast.Call) and _last_name(default.func) == "field":
            keywords = {word.arg: word.value for word in default.keywords}
            if isinstance(given := keywords.get("init"), ast.Constant) and given.value is False:
                continue
            default = keywords.get("default", keywords.get("default_factory"))
        required = default is None or _last_name(default) == "MISSING"
        yield statement.target.id, Parameter(definition.module, statement.annotation, required, _is_none(default))


def _is_decorated(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    return any(_last_name(d.func if isinstance(d, ast.Call) else d) == name for d in node.decorator_list)


def _last_name(expression: ast.expr) -> str:
    match expression:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value):
            return _last_name(value)
    return ""


def _is_none(expression: ast.expr | None) -> bool:
    return isinstance(expression, ast.Constant) and expression.value is None
