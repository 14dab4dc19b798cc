"""What README.md says is so: every command runs on a little data, or composes where it needs a hub or a dataset."""

import math
import re
import shlex
import shutil
import tomllib

import pytest
from commands import CONF, ROOT
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rococap.checks.command_line import check_command_line
from rococap.config import register
from rococap.data.phantom.source import Phantom
from rococap.runs.folder import RunFolder

README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = ["pip install -c constraints.txt -e . && python train.py experiment=demo"]
SETUP += ['pip install -c constraints.txt -e ".[dev]" && pytest']

LITTLE = ["data.source.train=32", "data.source.valid=4", "data.source.test=5", "data.batch_size=16"]
LITTLE += ["trainer.max_epochs=1", "decoding.max_new_tokens=12", "name=first"]

DEMO = "python train.py experiment=demo"
SCRIPTS = {
    "python scripts/evaluate.py --run multirun/first --split test": "cider",
    "python scripts/caption.py --run multirun/first IMAGE...": "image.png\t",
    "python scripts/score.py multirun/first/predictions/test.jsonl --out scores": "meteor",
    "python scripts/submit.py --run multirun/first --split test --out submission.zip": "5 captions",
}
COMPARE = "python scripts/compare.py multirun/ranks"
SHOWN = {"python train.py --help": "data.fraction=0.1", "python train.py --cfg job": "max_epochs: 6"}
SHOWN |= {"python scripts/prepare.py --caches list": "Caches in"}
COMPOSED = [
    "python train.py data.root=DIR",
    "python train.py data.root=DIR data.fraction=0.1 trainer.max_epochs=6 name=first",
    "python train.py -m data.root=DIR lora.rank=4,8,16 data.fraction=0.01,0.1,1",
    "python train.py -m name=ranks lora.rank=4,8,16 seed=0,1",
    "python train.py sweep=lora_rank",
    "python train.py sweep=search name=search",
    "python train.py data=rocov2_hub",
    "python train.py data=hub data.path=OWNER/DATASET name=from_hub",
    "python scripts/prepare.py data=rocov2 data.root=DIR",
    "python train.py -m lora=zero_shot model=vit_gpt2,tiny data.root=DIR",
    "python train.py data.root=DIR model=blip name=blip",
    "python train.py data.root=DIR model=blip2 model.path=Salesforce/blip2-flan-t5-xl name=blip2",
    "python train.py data.root=DIR model=llava_med precision=nf4 checkpoint_activations=true name=llava_med",
    "python train.py data.root=DIR model=vlm model.path=google/paligemma2-3b-pt-448 name=paligemma",
    "python train.py data.root=DIR model=vit_gpt2_fresh model.encoder=microsoft/rad-dino name=rad_dino",
    "python train.py data.root=DIR model=prefix model.encoder=google/medsiglip-448 name=prefix",
    "python train.py -m data.root=DIR model=vit_gpt2,blip,smolvlm name=architectures",
    "python train.py sweep=architecture name=three",
    "python train.py experiment=demo_concepts",
    "python train.py data.root=DIR concepts.weight=0.2 lora.train_vision_tower=true name=beside",
    "python train.py data.root=DIR model.concepts=predicted concepts.run=multirun/detector name=before",
    "python train.py data.root=DIR model=detector metrics=[concepts] data.fraction=1 name=detector",
    "python train.py data.root=DIR model=detector lora=attention lora.parts=[tower] data.fraction=1 name=detector_lora",
    "python train.py -m data.root=DIR model=detector model.encoder=microsoft/rad-dino,google/medsiglip-448 name=towers",
]
TOGETHER = [
    "python train.py data.root=DIR trainer.devices=2 data.global_batch_size=8 name=pair",
    "torchrun --nproc_per_node=2 train.py data.root=DIR data.global_batch_size=8 name=pair",
    "torchrun --nnodes=2 --nproc_per_node=4 --rdzv_backend=c10d --rdzv_endpoint=HOST:29400 train.py data.root=DIR "
    "name=wide",
    "srun --kill-on-bad-exit --nodes=2 --ntasks-per-node=4 --gpus-per-node=4 python train.py data.root=DIR name=wide",
]  # they compose here; see tests/processes/test_started.py for what starts them
INSTALLS = [
    "pip install -c constraints.txt -e .",
    'pip install -c constraints.txt -e ".[dev]"',
    'pip install -c constraints.txt -e ".[hub]"',
    'pip install -c constraints.txt -e ".[dicom]"',
    'pip install -c constraints.txt -e ".[webdataset]"',
    'pip install -c constraints.txt -e ".[quantised]"',
    'pip install -c constraints.txt -e ".[schedulefree]"',
    'pip install -c constraints.txt -e ".[tensorboard]"',
    'pip install -c constraints.txt -e ".[imageclef]"',
    'pip install -c constraints.txt -e ".[joblib]"',
    'pip install -c constraints.txt -e ".[ray]"',
    'pip install -c constraints.txt -e ".[submitit]"',
    'pip install -c constraints.txt -e ".[optuna]"',
]
OWN = [
    "python scripts/prepare.py data=table data.root=FILE",
    "python train.py data=table data.root=FILE name=own",
    "python train.py data=folder data.root=DIR name=own_folder",
    "python scripts/prepare.py data=table data.root=FILE --shards DIR",
    "python train.py data=webdataset data.root=DIR name=shards",
]
APART = [
    "lora=none",
    "lora=frozen_tower",
    "lora=zero_shot",
    "optimizer=schedule_free",
    "metrics=imageclef",
    "metrics=[concepts]",
    "model=detector",
    "model=tiny_detector",
]  # words that do not go with every other
APART += [f"metrics={name}" for name in ("[bleurt]", "radeval", "alignscore", "medcat", "[judge]")]
OTHER = ["python scripts/benchmark.py train --baseline FILE --json FILE"]  # see tests/test_benchmark.py
# See tests/scripts/test_untrained.py.
OTHER += ["python scripts/caption.py --model vit_gpt2 IMAGE..."]
OTHER += ["python scripts/evaluate.py --model vit_gpt2 data.root=DIR --split test"]
OTHER += ["python scripts/runs.py", "python scripts/runs.py --clean"]  # see tests/scripts/test_runs.py
OTHER += ["python scripts/convert_llava_med.py --path DIR --out DIR"]  # see tests/models/test_llava_med.py
OTHER += ["python scripts/vote.py multirun/one multirun/two multirun/three --out joined"]  # see test_vote.py
# See tests/scripts/test_score.py and test_submit.py.
OTHER += ["python scripts/score.py FILE --metrics concepts --references DIR/test_concepts.csv --out scores"]
OTHER += ["python scripts/submit.py --run multirun/detector --split test --out submission.zip"]
OTHER += ["python scripts/reader_study.py multirun/one multirun/two --out reading"]  # see tests/study
OTHER += ["python scripts/reader_study.py --score SHEET.csv... --out reading"]
OTHER += ["pytest", "wandb login", "wandb sync multirun/NAME/wandb/offline-run-*"]


def commands():
    """Each command in a code block, or in a line of text."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    lines += [span for span in re.findall(r"`([^`\n]+)`", README) if re.match(r"(python|pip|wandb|pytest) ", span)]
    return [part.strip() for line in lines for part in line.split("&&")]


def section(title):
    """The rows of the first table under a heading, as lists of cells."""
    text = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return rows[1:]


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def demo(place, run):
    """The demo on a little data, in the folder that README's scripts name."""
    _, file, *rest = shlex.split(DEMO)
    done = run(ROOT / file, *rest, *LITTLE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gain" in done.stdout
    return place / "multirun" / "first"


def test_no_command_goes_untested():
    assert set(commands()) == {DEMO, COMPARE, *SCRIPTS, *SHOWN, *COMPOSED, *TOGETHER, *INSTALLS, *OWN, *OTHER}


def test_set_up_is_two_commands_of_one_line():
    assert [line for line in README.splitlines() if "&&" in line] == SETUP
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {extra for command in INSTALLS for extra in re.findall(r"\[(\w+)\]", command)}
    assert extras == set(project["optional-dependencies"])
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    asked = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    names = {re.split(r"[\[<>=~!]", requirement)[0] for requirement in asked} - {"rococap"}
    assert {name.lower().replace("_", "-") for name in names} <= {name.lower().replace("_", "-") for name in pinned}


@pytest.mark.parametrize("line", SCRIPTS)
def test_scripts_run_on_the_demo(line, demo, place, run):
    if not (image := place / "image.png").exists():
        Phantom(train=1, valid=1, test=1, seed=0).examples("test")[0].image.open().save(image)
    _, file, *rest = shlex.split(line.replace("IMAGE...", "image.png"))
    done = run(ROOT / file, *rest)
    assert done.returncode == 0, done.stderr
    assert SCRIPTS[line] in done.stdout


def test_ones_own_data_is_trained_on(place, run):
    header = re.search(r"whose first line may be `(\S+)`", README)[1]
    folder = place / "own"
    folder.mkdir()
    lines = [header]
    for number, example in enumerate(Phantom(train=30, valid=1, test=1, seed=0).examples("train")):
        example.image.open().save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(example.captions[0])
        lines.append(f'{number}.png,"{example.captions[0]}",p{number // 3}')
    (folder / "own.csv").write_text("\n".join(lines))
    little = ["model=tiny", "metrics=[]", "trainer.max_epochs=1", "decoding.max_new_tokens=4", "logger=[csv]"]
    for line in OWN:
        there = place / "shards" if "shards" in line else folder
        _, file, *rest = shlex.split(line.replace("FILE", str(folder / "own.csv")).replace("DIR", str(there)))
        done = run(ROOT / file, *rest, *little)
        assert done.returncode == 0, done.stderr
        assert "prepare" not in line or "24" in done.stdout
    for name in ("own", "own_folder", "shards"):
        assert len((place / "multirun" / name / "predictions" / "test.jsonl").read_text().splitlines()) == 3


def test_runs_are_compared(demo, place, run):
    for rank in (4, 8):
        folder = place / "multirun" / "ranks" / f"lora.rank={rank}"
        shutil.copytree(demo, folder, ignore=shutil.ignore_patterns("wandb", "checkpoints"))
        recipe = RunFolder(folder).config
        recipe.lora.rank = rank
        RunFolder(folder).write_recipe(recipe)
    _, file, *rest = shlex.split(COMPARE)
    done = run(ROOT / file, *rest)
    assert done.returncode == 0 and "lora.rank" in done.stdout, done.stderr


@pytest.mark.parametrize("line", SHOWN)
def test_what_is_shown(line, run):
    _, file, *rest = shlex.split(line)
    done = run(ROOT / file, *rest)
    assert done.returncode == 0 and SHOWN[line] in done.stdout


@pytest.mark.parametrize("line", [*COMPOSED, *TOGETHER, DEMO])
def test_recipes_compose(line, jobs):
    words = shlex.split(line.rpartition(".py ")[2])
    check_command_line(CONF, argv=words)
    assert len(jobs) >= math.prod(1 + word.count(",") for word in words)
    given = dict(word.split("=") for word in words if "=" in word and not set(",[") & set(word))
    for job in jobs:
        chosen = job.hydra.runtime.choices
        composed = {key: chosen.get(key, str(OmegaConf.select(job, key))) for key in given}
        assert {key: {"True": "true", "False": "false"}.get(value, value) for key, value in composed.items()} == given


def test_the_folder_is_as_described(demo):
    cells = [words(row[0]) for row in section("A run's folder")]
    described = {name.strip("/") for names in cells for name in names}
    absent = {"model", "augment.png", "concepts.csv"}  # of lora=none, not the adapter; of augment=light; of a detector
    assert {name for name in described if not (demo / name).exists()} == absent
    assert {p.name for p in demo.iterdir() if p.name[0] != "."} <= {name.split("/")[0] for name in described}


def test_the_offline_run_lies_where_sync_is_told_to_look(demo, place):
    pattern = OTHER[-1].split()[-1].replace("NAME", demo.name)
    assert len(list(place.glob(pattern))) == 1


@pytest.fixture(scope="module")
def settings():
    """The names of all settings of the recipes that README tells of, as one writes them."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        recipes = [compose("train"), compose("train", ["model=vit_gpt2_fresh"]), compose("train", ["model=blip"])]
        recipes += [
            compose("train", [word])
            for word in ("model=vlm", "model=detector", "data=table", "metrics=[radeval,judge]")
        ]
    return {name for recipe in recipes for name in names(OmegaConf.to_container(recipe), "")}


def names(node, prefix):
    if isinstance(node, dict):
        for key, value in node.items():
            yield prefix + key
            yield from names(value, f"{prefix}{key}.")


def test_the_settings_exist(settings):
    """Every name of the table is a setting of the recipe or a choice; every value that it shows is accepted."""
    group = ""
    shown: dict[str, list[str]] = {}
    for word in (word for row in section("Settings") for word in words(row[0])):
        key, given, value = word.partition("=")
        if given:
            group = key
            shown.setdefault(key, []).append(value)
        elif (CONF / group / f"{key}.yaml").is_file():
            shown[group].append(key)
        else:
            assert key in settings
    assert set(shown["model"]) == {file.stem for file in (CONF / "model").glob("*.yaml")}
    for turn in range(max(map(len, shown.values()))):  # each value at least once, in few recipes
        words_of_turn = [f"{key}={values[turn % len(values)]}" for key, values in shown.items()]
        check_command_line(CONF, argv=[word for word in words_of_turn if word not in APART])
    for word in APART:
        check_command_line(CONF, argv=[word, *(["model=detector"] if word == "metrics=[concepts]" else [])])


def test_settings_named_in_the_text_exist(settings):
    named = re.findall(r"`([a-z_.]+)=`", README)
    assert named and set(named) <= settings


def test_links_into_the_checkout_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links and [link for link in links if not (ROOT / link).exists()] == []
    files = [span for span in re.findall(r"`((?:rococap|conf|scripts)/[\w/.]+)`", README) if "NAME" not in span]
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_the_map_of_the_house_is_the_house():
    text = README.split("\n## A map of the house\n")[1].split("\n## ")[0]
    folders, questions, _ = (
        re.findall(r"^\| (.+?) \| (.+) \|$", part, re.M) for part in re.split("\n\n(?=\\| (?:where|to) )", text)
    )
    named = [name.strip("/") for where, _ in folders[1:] for name in re.findall(r"`(\w+(?:/|\.py))`", where)]
    rooms = {path.name for path in (ROOT / "rococap").iterdir() if path.name[0] not in "_." and path.name != "assets"}
    assert sorted(named) == sorted(rooms)
    answers = [answer.strip("`") for _, answer in questions[1:]]
    assert len(answers) == 14 and [path for path in answers if not (ROOT / path).is_file()] == []
