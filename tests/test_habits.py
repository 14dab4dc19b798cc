"""What those who carry on are told: versions agree wherever they are written, and CONTRIBUTING.md says what is so."""

import re
import textwrap
import tomllib

import yaml
from commands import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from rococap.data.image import read
from rococap.data.phantom.source import Phantom
from rococap.types import SPLITS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")


def load(*path):
    return yaml.safe_load(ROOT.joinpath(*path).read_text(encoding="utf-8"))


def pins(*path):
    """Package -> version, as a constraints file pins them."""
    lines = ROOT.joinpath(*path).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_pre_commit_runs_the_pinned_tools():
    """Those of the environment, which constraints.txt pins; a version of its own could differ."""
    repositories = load(".pre-commit-config.yaml")["repos"]
    hooks = [hook for repository in repositories for hook in repository["hooks"]]
    assert {repository["repo"] for repository in repositories} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["entry"].split()[0] for hook in hooks} == {"ruff", "mypy"} <= pins("constraints.txt").keys()


def test_every_supported_python_is_checked():
    jobs = load(".github", "workflows", "ci.yml")["jobs"]
    checked = jobs["checks"]["strategy"]["matrix"]["python"]
    said = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for text in (readme.split("\n## Start\n")[1], readme.split("\n## Supported\n")[1], CONTRIBUTING):
        assert re.search(r"Python (3\.\d+) to (3\.\d+)", text).groups() == (checked[0], checked[-1])
    assert checked == said == [f"3.{minor}" for minor in range(int(said[0][2:]), int(said[-1][2:]) + 1)]
    assert PROJECT["requires-python"] == f">={checked[0]}"
    lowest = [step["with"]["python-version"] for step in jobs["lowest"]["steps"] if "with" in step]
    assert lowest == [checked[0]]


def test_the_lowest_versions_are_the_bounds():
    """As pip takes a bound: `>=1.18` where 1.18.1 was the first of its kind."""
    extras = [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
    asked = [Requirement(each) for each in (*PROJECT["dependencies"], *extras)]
    bounds = {
        canonicalize_name(each.name): next(part.version for part in each.specifier if part.operator == ">=")
        for each in asked
        if each.name != PROJECT["name"]
    }
    lowest = pins(".ci", "lowest.txt")
    assert lowest.keys() == bounds.keys()
    wrong = {name: version for name, version in lowest.items() if not f"{version}.".startswith(f"{bounds[name]}.")}
    assert wrong == {}
    tested = pins("constraints.txt")
    assert [name for name, version in lowest.items() if Version(version) > Version(tested[name])] == []


def test_the_citation_is_of_this_version():
    citation = load("CITATION.cff")
    assert (citation["title"], citation["version"]) == (PROJECT["name"], PROJECT["version"])
    assert citation["license"] == PROJECT["license"]
    assert citation["references"][0]["doi"] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_changelog_knows_this_version():
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_files_that_contributing_names_exist():
    blocks = re.findall(r"^ *```\n(.*?)^ *```$", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", CONTRIBUTING, flags=re.MULTILINE | re.DOTALL))
    words = {word for text in (*blocks, *spans) for word in text.split() if "NAME" not in word and "=" not in word}
    place = re.compile(r"\.?(ci|github|rococap|conf|scripts|tests)(/[\w./-]*)?|[\w.-]+\.(py|md|toml|txt|yaml|cff)")
    named = {word for word in words if place.fullmatch(word)} - {"__init__.py"}
    assert len(named) > 15
    assert sorted(word for word in named if not (ROOT / word).exists()) == []


def test_contributings_dataset_is_one(tmp_path):
    code = textwrap.dedent(re.search(r"^ *```python\n(.*?)^ *```$", CONTRIBUTING, re.MULTILINE | re.DOTALL)[1])
    for split in SPLITS:
        (tmp_path / split).mkdir()
        examples = Phantom(2, 2, 2, seed=0).examples(split)
        lines = [f"{example.id}.png,{example.captions[0]}\n" for example in examples]
        (tmp_path / f"{split}.csv").write_text("".join(["ID,Caption\n", *lines]), encoding="utf-8")
        for example in examples:
            example.image.open().save(tmp_path / split / f"{example.id}.png")
    exec(compile(code, "CONTRIBUTING.md", "exec"), names := {})
    source = names["Tables"](str(tmp_path))
    for split in SPLITS:
        for mine, drawn in zip(source.examples(split), Phantom(2, 2, 2, seed=0).examples(split), strict=True):
            assert mine.captions == drawn.captions
            assert read(mine.image).tobytes() == read(drawn.image).tobytes()
    before = source.fingerprint()
    (tmp_path / "test.csv").write_text("ID,Caption\n", encoding="utf-8")
    assert names["Tables"](str(tmp_path)).fingerprint() != before
