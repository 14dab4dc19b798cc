import json
from pathlib import Path

import pytest
import torch
from blip2_checkpoints import OPT, QUERIES, blip2_directory, make_blip2_opt, make_blip2_t5, opt_tokenizer, placeholders
from blip_checkpoints import blip_directory
from transformers import AutoTokenizer, Blip2Processor, BlipImageProcessorPil

from rococap.models import blip, blip2
from rococap.models.loading import Loading
from rococap.types import UserError

IMAGES = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def opt(tmp_path_factory):
    return make_blip2_opt(tmp_path_factory.mktemp("opt"))[0]


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return make_blip2_t5(tmp_path_factory.mktemp("t5"))[0]


def test_what_is_kept_is_what_few_queries_saw(opt):
    captioner = blip2.published(opt)
    assert captioner.new == frozenset() and captioner.grid is None
    assert captioner.encode(IMAGES).shape == (2, QUERIES, 32)
    assert captioner.part("language_projection.weight") == "projector" and not captioner.encodes("language_projection")
    before = captioner.tower_digest()
    with torch.no_grad():
        captioner.model.query_tokens.add_(1)  # a parameter of no module
    assert captioner.tower_digest() != before


def test_a_caption_of_opt_ends_with_the_end_of_the_line_and_holds_none(opt):
    plain, led = blip2.published(opt), blip2.published(opt, prompt="a photo of")
    end = led.processor.end_token_id
    assert led.processor.tokenizer.decode([end]) == "\n"
    ids, cut = led.processor.tokens("a ring\n and  a moon", 99)
    assert not cut and ids.count(end) == 1 and ids[-1] == end
    assert (
        led.processor.tokenizer.decode(ids) == " a ring and a moon\n" and led.processor.text(ids) == "a ring and a moon"
    )
    assert plain.processor.text(plain.processor.tokens("a ring", 99)[0]) == "a ring"
    assert led.processor.max_positions + len(led.given) == plain.processor.max_positions + 1 == 64 - QUERIES + 1
    longest, cut = led.processor.tokens("moon " * 100, 999)
    features = led.encode(IMAGES[:1])
    assert cut and torch.isfinite(led(features, torch.tensor([longest]), torch.ones(1, len(longest)))[0])
    assert len(led.generate(features, max_new_tokens=999, num_beams=1)) == 1


@pytest.mark.parametrize("prompt", ["", "a photo of"])
def test_the_prompt_stands_as_transformers_own_processor_writes_it(t5, prompt):
    captioner = blip2.published(t5, prompt=prompt)
    own = Blip2Processor(BlipImageProcessorPil(), AutoTokenizer.from_pretrained(t5), num_query_tokens=QUERIES)
    written = own(images=torch.zeros(3, 32, 32), text=prompt, return_tensors="pt")["input_ids"]
    assert written.tolist() == placeholders(captioner, 1).tolist()


def test_t5_keeps_the_layers_that_it_cannot_compute_rounded(t5):
    captioner = blip2.published(t5, loading=Loading(weights="nf4"))
    kinds = {name.rpartition(".")[2]: type(module).__name__ for name, module in captioner.model.named_modules()}
    assert kinds["wo"] == "Linear" and kinds["wi_0"] == "Linear4bit"


def test_visual_tokens_are_refused(opt):
    with pytest.raises(UserError, match=r"model.visual_tokens=4: .* no grid"):
        blip2.published(opt, visual_tokens=4)


def test_what_reads_another_checkpoint_is_said_before_weights_are_read(opt, tmp_path):
    with pytest.raises(UserError, match=r"is of type blip-2: .*\n.*model=blip2 reads it"):
        blip.published(opt)
    with pytest.raises(UserError, match=r"is of type blip: .*\n.*model=blip reads it"):
        blip2.published(str(blip_directory(tmp_path / "blip")))
    folder = blip2_directory(tmp_path / "opt", OPT, opt_tokenizer)
    (folder / "pytorch_model.bin").write_bytes(b"no weights")
    for change, answer in (
        ({"architectures": ["Blip2ForImageTextRetrieval"]}, "holds a Blip2ForImageTextRetrieval"),
        ({"text_config": {"model_type": "llama"}}, "its language model is of type llama; known are opt, t5"),
    ):
        config = json.loads(Path(opt, "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(UserError, match=answer):
            blip2.published(str(folder))
