"""Captions and concepts do not go together, nor a detector with what only a captioner has."""

import pytest
from commands import CONF

from rococap.checks.answers import answers
from rococap.checks.command_line import check_command_line
from rococap.types import UserError

DETECTOR = ["data=phantom", "model=tiny_detector"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=tiny", "metrics=[concepts]"], r"metrics.concepts: scores concepts, and this model gives captions"),
        (
            ["model=detector", "metrics=[bleu,concepts]"],
            r"metrics.bleu: scores captions, and this model gives concepts",
        ),
        (["model=tiny_detector", "lora=zero_shot"], "lora: must not be zero_shot with a detector"),
        (["model=tiny_detector", "lora=attention"], r"lora.parts: must be \[tower\] with a detector"),
        (
            ["model=tiny_detector", "precision=nf4", "lora=attention", "lora.parts=[tower]"],
            "precision: must not be int8",
        ),
        (["model=tiny_detector", "decoding.num_beams=3"], "decoding.num_beams: must be 1 with a detector"),
        (["model=tiny_detector", "model.pooling=max"], "model.pooling: must be mean or attention or cls"),
        (
            ["model=tiny_detector", "concepts.threshold=1.5"],
            "concepts.threshold: must be global, per_class or a number",
        ),
        (["model=tiny_detector", "concepts.kind=auto"], "concepts.kind: must be all or manual"),
        (["model=tiny_detector", "concepts.min_count=0"], "concepts.min_count: must be at least 1"),
    ],
)
def test_what_does_not_go_together_is_refused(words, said):
    with pytest.raises(UserError, match=said):
        check_command_line(CONF, argv=["data=phantom", *words])


def test_a_detector_brings_what_suits_it(jobs):
    check_command_line(CONF, argv=[*DETECTOR, "metrics=[concepts]"])
    check_command_line(CONF, argv=[*DETECTOR, "lora=attention", "lora.parts=[tower]", "lora.rank=4"])
    check_command_line(CONF, argv=[*DETECTOR, "lora=none", "concepts.threshold=0.4", "metrics=[]"])
    check_command_line(CONF, argv=["-m", "data=phantom", "model=tiny_detector", "model.pooling=mean,attention,cls"])
    first, adapted, whole, *swept = jobs
    assert list(first.metrics) == ["concepts"] and not first.lora.train_vision_tower and first.data.val_images is None
    assert adapted.lora.rank == 4 and whole.lora.train_vision_tower
    assert {job.model.pooling for job in swept} == {"mean", "attention", "cls"}


def test_a_class_says_what_it_gives_itself_or_by_what_it_is():
    assert answers("rococap.models.detector.detector") == "concepts"
    assert {answers(f"rococap.models.{name}") for name in ("tiny.tiny", "blip.published", "prefix.prefix")} == {
        "captions"
    }
    assert (
        answers("rococap.metrics.bleu.Bleu") == "captions"
        and answers("rococap.metrics.concepts.Concepts") == "concepts"
    )
    assert answers("json.dumps") is None and answers("no.such") is None
