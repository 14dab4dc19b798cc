"""Every setting of Lightning's Trainer works here, is refused with rococap's own word, or changes nothing."""

import inspect

import pytest
import pytorch_lightning as pl
from commands import CONF

from rococap.checks.command_line import check_command_line
from rococap.checks.durations import seconds
from rococap.checks.trainer import HARMLESS, REFUSED, WORKS, checkpoint_faults, trainer_faults
from rococap.types import UserError


def test_each_setting_is_sorted_into_one_kind():
    known = set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}
    kinds = [WORKS, HARMLESS, REFUSED.keys()]
    assert known - {name for kind in kinds for name in kind} == set()
    assert sum(map(len, kinds)) == len({name for kind in kinds for name in kind})


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_done_elsewhere_is_refused_at_second_zero(name):
    with pytest.raises(UserError) as error:
        check_command_line(CONF, argv=["data=phantom", f"+trainer.{name}=1"])
    assert f"trainer.{name}: is not for you to set here: {REFUSED[name]}" in str(error.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("+trainer.max_time=soon", "must be a time such as 15min"),
        ("+trainer.check_val_every_n_epoch=null", "must be a number"),
        ("+trainer.overfit_batches=1.5", "must be a number of batches"),
        ("checkpoint.every=often", "must be a time such as 15min"),
        ("checkpoint.keep=few", "must be auto, all, best.last or a number"),
        ("checkpoint.keep=0", "must be auto, all, best.last or a number"),
    ],
)
def test_impossible_values_are_refused(setting, said):
    with pytest.raises(UserError, match=said):
        check_command_line(CONF, argv=["data=phantom", setting])


@pytest.mark.parametrize(
    "setting",
    [
        "+trainer.max_time=90min",
        "+trainer.max_time=00:01:30:00",
        "+trainer.max_time={hours: 2}",
        "+trainer.overfit_batches=2",
        "+trainer.overfit_batches=0.1",
        "+trainer.enable_progress_bar=false",
        "checkpoint.every=null",
        "checkpoint.every=1h30min",
        "checkpoint.keep=best+last",
        "checkpoint.keep=3",
    ],
)
def test_possible_values_are_taken(setting, jobs):
    check_command_line(CONF, argv=["data=phantom", setting])
    assert len(jobs) == 1


@pytest.mark.parametrize(
    ("said", "there"),
    [("15min", 900), ("1h30min", 5400), ("45s", 45), ("1.5 h", 5400), ("00:00:02:03", 123), ("2:03", 123),
     ({"minutes": 2}, 120), ("", None), ("15", None), ("min", None), ("15 moons", None), (15, None), (None, None)],
)  # fmt: skip
def test_durations(said, there):
    assert seconds(said) == there


def test_what_is_no_config_at_all_is_left_to_other_checks():
    assert [*trainer_faults({}), *checkpoint_faults({}), *trainer_faults({"trainer": 1})] == []
