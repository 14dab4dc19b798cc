import dataclasses

import pytest
from commands import CONF
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import ValidationError

from rococap.config import DataConfig, DecodingConfig, build, register, untyped_root
from rococap.types import UserError


def compose_recipe():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train")


def test_the_yaml_files_list_every_typed_setting():
    """No default hides in the code: what has a type has a line that shows its value."""
    assert set(OmegaConf.load(CONF / "data" / "base.yaml")) == {f.name for f in dataclasses.fields(DataConfig)}
    assert set(OmegaConf.load(CONF / "train.yaml").decoding) == {f.name for f in dataclasses.fields(DecodingConfig)}


def test_the_root_is_typed():
    register()
    with pytest.raises(ValidationError):
        compose_recipe().data.fraction = "abc"


def test_the_root_is_typed_again_after_a_check_that_failed():
    with pytest.raises(RuntimeError), untyped_root():
        compose_recipe().data.fraction = "abc"
        raise RuntimeError
    with pytest.raises(ValidationError):
        compose_recipe().data.fraction = "abc"


@pytest.mark.parametrize("target", ["rococap.precision.Precision", "rococap.data.phantom.Phantom", "rococap.loggers.x"])
def test_a_part_that_is_no_more_is_one_clear_answer(target):
    """As a run's folder of another version names one."""
    with pytest.raises(UserError, match=rf"^{target} is not there: .*another version of rococap") as error:
        build(OmegaConf.create({"_target_": target}))
    assert len(str(error.value).splitlines()) == 2
