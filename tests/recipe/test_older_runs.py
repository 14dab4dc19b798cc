"""A run from before a setting existed is read as it ran."""

from dataclasses import MISSING, fields

import hydra
import yaml
from commands import CONF
from omegaconf import OmegaConf

from rococap.config import register
from rococap.recipe.recipe import Concepts, DataSettings, Recipe


def test_settings_that_it_lacks_have_their_defaults():
    register()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose("train", ["data=phantom", "model=tiny"])
    settings = OmegaConf.to_container(cfg, resolve=True)
    del settings["concepts"]
    for name in ("stream", "window", "allow_missing"):
        del settings["data"][name]
    recipe = Recipe.of(OmegaConf.create(settings))
    assert (recipe.data.stream, recipe.data.allow_missing) == (False, False)
    assert recipe.concepts.weight == 0 and recipe.concepts.run is None


def test_and_these_are_those_of_conf():
    """Except where newer runs do more: what a setting means by default now."""
    base = yaml.safe_load((CONF / "data" / "base.yaml").read_text())
    of_train = yaml.safe_load((CONF / "train.yaml").read_text())["concepts"]
    for kind, given in ((DataSettings, base), (Concepts, of_train)):
        defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
        assert defaults and {name: given[name] for name in defaults} == defaults
