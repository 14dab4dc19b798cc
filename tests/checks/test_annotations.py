import ast

import pytest

from rococap.checks.annotations import described, fits
from rococap.checks.source import Module, find


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    file = tmp_path_factory.mktemp("made") / "names.py"
    file.write_text(
        "from typing import Literal, Union\nfrom enum import Enum\nfrom torch import Tensor\n"
        "Size = Union[int, Literal['auto']]\n"
        "class Shape: ...\n"
        "class Colour(str, Enum): red = 'red'\n"
    )
    return Module("names", file)


def annotation(text):
    return ast.parse(text, mode="eval").body


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("int", [3], [3.0, "3", True, None]),
        ("float", [3, 2.5], ["3", True, None]),
        ("str", ["a"], [3, None]),
        ("bool", [True], [1, "true"]),
        ("None", [None], [0]),
        ("int | None", [3, None], ["3"]),
        ("Optional[Union[int, str]]", [3, "a", None], [2.5]),
        ("'Optional[int]'", [3, None], ["a"]),
        ("Literal['fp16', 'fp32']", ["fp16"], ["fp8", 16]),
        ("list[int]", [[1, 2], []], [["a"], 1, "ab"]),
        ("Sequence[str]", [["a"]], ["a"]),
        ("tuple[float, float]", [[0.9, 0.99]], [[0.9], ["a", "b"], 0.9]),
        ("tuple[int, ...]", [[1, 2, 3]], [["a"]]),
        ("dict[str, int]", [{"a": 1}], [["a"], 1]),
        ("Size", [3, "auto"], ["big", 2.5]),
        ("float | Tensor", [1e-3], ["fast"]),
        ("Shape", [{"_target_": "names.Shape"}], [3, "a", None]),
        ("Colour", ["red", "any"], []),
        ("Any", [3, None, "a", [1]], []),
        ("NobodyKnows", [3, None, "a"], []),
        ("Callable[[int], int]", ["a", 3], []),
    ],
)
def test_what_fits(module, text, right, wrong):
    assert [value for value in right if not fits(value, annotation(text), module)] == []
    assert [value for value in wrong if fits(value, annotation(text), module)] == []


def test_without_an_annotation_everything_fits(module):
    assert fits(3, None, module) and fits(None, None, module)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Optional[int]", "a whole number or null"),
        ("Size", "a whole number or auto"),
        ("float | Tensor", "a number"),
        ("list[str]", "a list of text"),
        ("tuple[float, int]", "a list of 2: a number, a whole number"),
    ],
)
def test_words(module, text, said):
    assert described(annotation(text), module) == said


def test_aliases_are_followed_into_other_packages():
    trainer = find("pytorch_lightning.trainer.trainer")
    assert isinstance(trainer, Module)
    assert fits("16-mixed", annotation("Optional[_PRECISION_INPUT]"), trainer)
    assert not fits("17-mixed", annotation("Optional[_PRECISION_INPUT]"), trainer)
