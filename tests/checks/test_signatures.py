import importlib
import inspect
import subprocess
import sys
import textwrap

import pytest

from rococap.checks.signatures import signature
from rococap.checks.source import NoSuchName

PACKAGE = {
    "__init__.py": "from .parts import Part as Piece\nfrom . import parts as parts\nfrom .shapes import *",
    "parts.py": """
        from dataclasses import dataclass, field
        from typing import ClassVar
        from omegaconf import MISSING

        class Part:
            def __init__(self, width: int, *, colour: str = "red", **more): ...
            @classmethod
            def small(cls, colour: str): ...
            @staticmethod
            def plain(colour: str): ...

        class Child(Part):
            pass

        @dataclass
        class Base:
            first: int
            kind: ClassVar[str] = "x"

        @dataclass
        class Fields(Base):
            second: float = MISSING
            third: list[int] = field(default_factory=list)
            hidden: int = field(init=False, default=3)

        class Bare:
            pass

        try:
            from no_such_package_anywhere import fast
        except ImportError:
            fast = None
    """,
    "shapes.py": "def square(side: float): ...\n",
    "lazy.py": "def __getattr__(name): ...\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that no other test has, so that nothing of it is remembered."""
    name = f"made_{tmp_path.name}"
    (tmp_path / name).mkdir()
    for file, text in PACKAGE.items():
        (tmp_path / name / file).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    return name


def required(target: str) -> dict[str, bool]:
    return {name: parameter.required for name, parameter in signature(target).parameters.items()}


@pytest.mark.parametrize(
    "target",
    [
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.RichProgressBar",
        "torch.optim.AdamW",
        "torch.optim.lr_scheduler.CosineAnnealingLR",
        "rococap.models.lora.add_lora",
        "rococap.recipe.precision.Precision",
    ],
)
def test_it_agrees_with_the_imported_object(target):
    module, _, name = target.rpartition(".")
    real = inspect.signature(getattr(importlib.import_module(module), name)).parameters.values()
    assert required(target) == {p.name: p.default is inspect.Parameter.empty for p in real}


def test_nothing_heavy_is_imported():
    code = """
        import sys
        from rococap.checks.signatures import signature
        assert signature("pytorch_lightning.Trainer").parameters
        assert signature("torch.optim.AdamW").parameters
        print([name for name in ("torch", "pytorch_lightning", "transformers") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", ["Piece", "parts.Part", "parts.Child"])
def test_classes_are_found_through_re_exports_and_bases(package, name):
    assert required(f"{package}.{name}") == {"width": True, "colour": False}
    assert signature(f"{package}.{name}").open


def test_a_dataclass_takes_its_fields_and_those_of_its_bases(package):
    assert required(f"{package}.parts.Fields") == {"first": True, "second": True, "third": False}


def test_functions_and_methods(package):
    assert required(f"{package}.square") == {"side": True}
    assert required(f"{package}.Piece.small") == {"colour": True}
    assert required(f"{package}.Piece.plain") == {"colour": True}


def test_a_class_with_nothing_takes_nothing(package):
    assert required(f"{package}.parts.Bare") == {}
    assert not signature(f"{package}.parts.Bare").open


@pytest.mark.parametrize("name", ["lazy.anything", "parts.fast"])
def test_what_only_running_could_tell_is_accepted(package, name):
    assert signature(f"{package}.{name}").open


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("parts.Chidl", "did you mean Child?"),
        ("prats.Child", "did you mean parts?"),
        ("Piece.smal", "did you mean small?"),
        ("parts", "a module"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(package, name, said):
    with pytest.raises(NoSuchName, match=said.replace("?", r"\?")):
        signature(f"{package}.{name}")


def test_a_package_that_is_not_installed():
    with pytest.raises(NoSuchName, match="no package 'no_such_package_anywhere'"):
        signature("no_such_package_anywhere.Thing")


def test_source_is_read_not_run(tmp_path, monkeypatch):
    name = f"trap_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\ndef task(size: int): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert required(f"{name}.task") == {"size": True}
    assert name not in sys.modules


def test_what_only_code_can_give_is_no_setting():
    assert "loading" not in signature("rococap.models.vit_gpt2.published").parameters
