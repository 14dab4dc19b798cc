"""Captions of published models as they are, without a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir

from rococap.checks.command_line import check_command_line
from rococap.config import register
from rococap.data.image import UnreadableImage
from rococap.data.pictures.dicom import USUAL, View
from rococap.evaluation.evaluate import caption_files
from rococap.recipe.parts import untrained_captioner
from rococap.recipe.recipe import Recipe


def caption_untrained(
    conf: Path, overrides: Sequence[str], images: Sequence[Path], view: View = USUAL
) -> Iterator[tuple[Path, str | UnreadableImage]]:
    """Each image file with its caption, or with what is wrong with it.

    Args:
        conf: the folder of config files.
        overrides: of the starting recipe, such as `model=blip`; what concerns training is not looked at.

    Raises:
        UserError: a setting is wrong, or the model cannot be had, or a part of it is new.
    """
    words = [*overrides, "data=phantom", "lora=zero_shot", "metrics=[]", "logger=[]"]  # nothing of these is used
    check_command_line(conf, argv=words)
    register()
    with initialize_config_dir(str(conf), version_base="1.3"):
        recipe = Recipe.of(compose("train", words))
    return caption_files(untrained_captioner(recipe), recipe, images, view)
