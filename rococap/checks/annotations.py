"""Whether a plain value fits an annotation that was read from source, and what the annotation says in words."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rococap.checks.signatures import is_dataclass
from rococap.checks.source import Definition, Module, evaluate

_SCALARS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "str": (str, "text"),
    "bool": (bool, "true or false"),
    "None": (type(None), "null"),
    "Path": (str, "a path"),
}
_LISTS = {"list", "tuple", "set", "frozenset", "sequence", "mutablesequence", "iterable", "collection"}
_DICTS = {"dict", "mapping", "mutablemapping"}
# A class with such a base may be a scalar after all, or takes any object of the right shape.
_OPEN_BASES = {"str", "int", "float", "Enum", "IntEnum", "StrEnum", "Flag", "Protocol", "NamedTuple", "TypedDict"}


@dataclass(frozen=True)
class Form:
    """One alternative of an annotation."""

    accepts: Callable[[Any], bool]
    text: str = ""
    dataclass: Definition | None = None  # takes a mapping of its fields


_ANYTHING = Form(lambda value: True)


def fits(value: Any, annotation: ast.expr | None, module: Module) -> bool:
    """Whether a caller may give the value. True where the annotation can't be read, and for a nested `_target_`."""
    if isinstance(value, dict) and "_target_" in value:
        return True
    return any(form.accepts(value) for form in forms(annotation, module))


def described(annotation: ast.expr | None, module: Module) -> str:
    """Such as "a whole number or null"."""
    alternatives = dict.fromkeys(form.text for form in forms(annotation, module) if form.text)
    return " or ".join(alternatives)


def forms(annotation: ast.expr | None, module: Module) -> Iterator[Form]:
    """The alternatives of an annotation, aliases followed; lazily, for following may read further files."""
    match annotation:
        case ast.Constant(value=None):
            yield _scalar("None")
        case ast.Constant(value=str(text)):
            yield from forms(ast.parse(text, mode="eval").body, module)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from forms(left, module)
            yield from forms(right, module)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            yield from _subscript(name, inner.elts if isinstance(inner, ast.Tuple) else [inner], module)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield from _named(name, annotation, module)
        case _:
            yield _ANYTHING


def _subscript(name: str, inner: list[ast.expr], module: Module) -> Iterator[Form]:
    match name.lower():
        case "optional" | "union":
            for each in inner:
                yield from forms(each, module)
            if name == "Optional":
                yield _scalar("None")
        case "literal":
            yield from (_literal(each) for each in inner)
        case "annotated" | "final" | "required" | "notrequired":
            yield from forms(inner[0], module)
        case "tuple" if not (len(inner) == 2 and isinstance(inner[1], ast.Constant) and inner[1].value is ...):
            yield _fixed(inner, module)
        case kind if kind in _LISTS:
            yield _list_of(inner[0], module)
        case kind if kind in _DICTS:
            yield Form(_is_dict, "a mapping")
        case _:
            yield _ANYTHING


def _named(name: str, expression: ast.expr, module: Module) -> Iterator[Form]:
    if name in _SCALARS:
        yield _scalar(name)
    elif name.lower() in _LISTS:
        yield Form(_is_list, "a list")
    elif name.lower() in _DICTS:
        yield Form(_is_dict, "a mapping")
    elif name == "Any" or not isinstance(found := evaluate(module, expression), Definition):
        yield _ANYTHING
    elif isinstance(found.node, ast.ClassDef):
        yield _class(found)
    elif isinstance(found.node, ast.expr) and not isinstance(found.node, ast.Call):
        yield from forms(found.node, found.module)
    else:
        yield _ANYTHING


def _scalar(name: str) -> Form:
    kind, said = _SCALARS[name]
    if name == "bool":
        return Form(lambda value: isinstance(value, bool), said)
    return Form(lambda value: isinstance(value, kind) and not isinstance(value, bool), said)


def _literal(expression: ast.expr) -> Form:
    if not isinstance(expression, ast.Constant):
        return _ANYTHING
    literal = expression.value
    return Form(lambda value: type(value) is type(literal) and value == literal, str(literal))


def _list_of(element: ast.expr, module: Module) -> Form:
    said = described(element, module)
    return Form(
        lambda value: _is_list(value) and all(fits(each, element, module) for each in value),
        f"a list of {said}" if said else "a list",
    )


def _fixed(elements: list[ast.expr], module: Module) -> Form:
    return Form(
        lambda value: (
            _is_list(value)
            and len(value) == len(elements)
            and all(fits(each, element, module) for each, element in zip(value, elements, strict=True))
        ),
        f"a list of {len(elements)}: " + ", ".join(described(element, module) or "anything" for element in elements),
    )


def _class(found: Definition) -> Form:
    """An object: no number or text stands for it in a YAML file, a nested `_target_` does."""
    assert isinstance(found.node, ast.ClassDef)
    bases = {base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in found.node.bases}
    if bases & _OPEN_BASES:
        return _ANYTHING
    if is_dataclass(found):
        return Form(_is_dict, "a mapping", found)
    return Form(lambda value: isinstance(value, dict | list))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)
