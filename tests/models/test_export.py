"""The adapter opens by the lines of its README, in a process that cannot import rococap."""

from pathlib import Path

import pytest
import torch
from commands import BLOCK, command

from rococap.data.phantom.source import Phantom
from rococap.models.export import export
from rococap.models.lora import train_in_full
from rococap.models.tiny import tiny
from rococap.recipe.parts import best_captioner
from rococap.recipe.recipe import Recipe
from rococap.runs.folder import RunFolder

LOGITS = "torch.save(model(pixel_values=pixel_values, decoder_input_ids=ids).logits, {file!r})\n"


def opened(run, name, image, file):
    """The caption that a README's code prints, and the logits of its model on that image and caption."""
    blocks = (run / name / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    code = "\n".join(block.partition("```")[0] for block in blocks).replace('"IMAGE"', repr(str(image)))
    script = BLOCK.format(names=["rococap"]) + code + LOGITS.format(file=str(file))
    (program := Path(file).with_suffix(".py")).write_text(script)
    done = command(program, cwd=run, cache=program.parent / "cache")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), torch.load(file)


def of_rococap(captioner, image):
    """The same two by rococap's own way, from the image's uint8 pixels."""
    captioner.eval()
    pixels = torch.from_numpy(captioner.processor.pixels(image))[None]
    with torch.no_grad():
        features = captioner.encode(pixels)
        caption = captioner.generate(features, max_new_tokens=128, num_beams=1)[0]
        ids = captioner.model.generate(
            encoder_outputs=(features,),
            decoder_input_ids=torch.full((1, 1), captioner.start_token_id),
            generation_config=captioner.generation,
            max_new_tokens=128,
        )
        logits = captioner.network(encoder_outputs=(features,), decoder_input_ids=ids).logits
    return caption, logits


@pytest.fixture
def image():
    return Phantom(train=1, valid=1, test=1, seed=7).examples("test")[0].image.open().convert("RGB")


def test_an_adapter_gives_equal_logits_without_rococap(finished, image, tmp_path):
    image.save(tmp_path / "image.png")
    caption, logits = opened(finished, "adapter", tmp_path / "image.png", tmp_path / "logits.pt")
    trained = best_captioner(RunFolder(finished), Recipe.of_run(RunFolder(finished)))
    expected, theirs = of_rococap(trained, image)
    assert caption == expected and caption
    torch.testing.assert_close(logits, theirs, rtol=1e-4, atol=1e-4)  # pixels are normalised in another order
    assert not torch.allclose(of_rococap(tiny(), image)[1][:, :2], theirs[:, :2], atol=1e-2)  # it is not the base


@pytest.mark.parametrize("visual_tokens", [None, 49])
def test_a_model_trained_in_full_is_written_whole(image, tmp_path, visual_tokens):
    captioner = tiny(visual_tokens)
    train_in_full(captioner, train_vision_tower=False)
    with torch.no_grad():
        for parameter in captioner.model.decoder.parameters():
            parameter.mul_(1.01)
    image.save(tmp_path / "image.png")
    assert export(captioner, tmp_path) == tmp_path / "model"
    export(captioner, tmp_path)  # over the one before
    caption, logits = opened(tmp_path, "model", tmp_path / "image.png", tmp_path / "logits.pt")
    expected, theirs = of_rococap(captioner, image)
    assert caption == expected
    torch.testing.assert_close(logits, theirs, rtol=1e-4, atol=1e-4)
    assert [path.name for path in tmp_path.glob("*.new")] == []
