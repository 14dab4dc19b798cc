import json
import sys
from pathlib import Path

import pytest
import torch
from blip_checkpoints import blip_directory
from checkpoints import directory_of_2021
from commands import LORA
from PIL import Image

from rococap.models import blip, vit_gpt2
from rococap.models.export import export
from rococap.models.lora import add_lora
from rococap.types import UserError

IMAGES = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return str(blip_directory(tmp_path_factory.mktemp("blip")))


def blocks(folder: Path) -> str:
    """The lines of an exported README."""
    parts = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    return "\n".join(part.partition("```")[0] for part in parts).replace("IMAGE", "image.png")


def test_an_old_file_with_buffers_holds_all_that_matters(directory):
    assert "text_decoder.bert.embeddings.position_ids" in torch.load(Path(directory) / "pytorch_model.bin")
    captioner = blip.published(directory)
    assert captioner.new == frozenset() and captioner.unused == ()
    assert captioner.processor.end_token_id == captioner.processor.tokenizer.sep_token_id


def test_a_prompt_is_continued_and_is_no_part_of_the_caption(directory):
    plain, led = blip.published(directory).eval(), blip.published(directory, prompt="a picture of").eval()
    assert led.start == [plain.start[0], *led.processor.tokenizer.convert_tokens_to_ids(["a", "picture", "of"])]
    assert led.processor.max_positions == plain.processor.max_positions - 3 == 45
    with torch.no_grad():
        features = led.encode(IMAGES)
        longest, cut = led.processor.tokens("a ring " * 100, 1000)
        assert cut and led(features[:1], torch.tensor([longest]), torch.ones(1, 45, dtype=torch.int64))[1] == 45
        assert not any(said.startswith("a picture") for said in led.generate(features, max_new_tokens=80, num_beams=1))
        assert led.attend(features, ["a ring", "a ring"]).shape[1] == 3


def test_fewer_visual_tokens_are_written_into_the_readme(directory, tmp_path, monkeypatch, capsys):
    captioner = blip.published(directory, visual_tokens=4)
    add_lora(captioner, **(LORA | {"target_modules": None}))
    folder = export(captioner.eval(), tmp_path)
    image = Image.effect_noise((60, 44), 60).convert("RGB")
    image.save(tmp_path / "image.png")
    with torch.no_grad():
        pixels = torch.from_numpy(captioner.processor.pixels(image))[None]
        expected = captioner.generate(captioner.encode(pixels), max_new_tokens=128, num_beams=1)[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "rococap", None)
    exec(blocks(folder), {"__name__": "readme"})
    assert capsys.readouterr().out.strip() == expected


def test_what_reads_another_checkpoint_is_said_before_weights_are_read(directory, tmp_path):
    folder, _ = directory_of_2021(tmp_path / "vit_gpt2")
    (folder / "pytorch_model.bin").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"is of type vision-encoder-decoder.*\n.*model=vit_gpt2 reads it"):
        blip.published(str(folder))
    with pytest.raises(UserError, match=r"is of type blip: .*\n.*model=blip reads it"):
        vit_gpt2.published(directory)


def test_a_blip_for_another_task_is_refused(directory, tmp_path):
    config = json.loads((Path(directory) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": ["BlipForQuestionAnswering"]}))
    with pytest.raises(UserError, match=r"holds a BlipForQuestionAnswering, .*\n.*BlipForConditionalGeneration"):
        blip.published(str(tmp_path))


def test_images_of_another_size_than_the_positions_are_for_are_refused(tmp_path):
    folder = blip_directory(tmp_path / "blip")
    content = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(content | {"size": {"height": 24, "width": 24}}))
    with pytest.raises(UserError, match=r"makes images of 24 x 24 pixels, .* positions for 32 x 32\.\nSet size"):
        blip.published(str(folder))
