"""A checkpoint of another recipe says in two lines what differs, and changes nothing."""

import pytest
import torch
from commands import LORA

from rococap.models.base import captioner_state
from rococap.models.lora import add_lora, train_in_full
from rococap.models.tiny import tiny, tiny_blip
from rococap.types import UserError


def adapted(build=tiny, **settings):
    captioner = build()
    targets = None if build is not tiny else LORA["target_modules"]
    add_lora(captioner, **{**LORA, "target_modules": targets, **settings})
    return captioner


def in_full():
    captioner = tiny()
    train_in_full(captioner, train_vision_tower=False)
    return captioner


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: adapted(rank=8), "lora.rank was 8, is 4"),
        (lambda: adapted(tiny_blip), "another architecture, with weights such as"),
        (in_full, "this one trains LoRA, and the checkpoint's does not"),
        (lambda: adapted(use_dora=True), r"weights are not in this model, such as .*; lora.use_dora differs"),
        (lambda: adapted(target_modules=["c_attn"]), r"weights are missing, such as network\.base_model.*c_proj"),
    ],
)
def test_what_differs_is_said_in_two_lines(other, said):
    captioner = adapted()
    before = {name: value.clone() for name, value in captioner.trainable_state().items()}
    with pytest.raises(UserError, match=f"the checkpoint is of another recipe: .*{said}") as refusal:
        captioner.load_trainable_state(other().trainable_state())
    assert len(str(refusal.value).splitlines()) == 2
    assert all(torch.equal(value, before[name]) for name, value in captioner.trainable_state().items())


def test_each_weight_has_its_name_and_shape():
    captioner = in_full()
    state = captioner.trainable_state()
    name = sorted(state)[-1]
    for odd, said in (
        ({key: value for key, value in state.items() if key != name}, f"1 weights are missing, such as {name}"),
        (state | {f"{name}.more": state[name]}, f"1 weights are not in this model, such as {name}.more"),
        (state | {name: state[name][:1]}, f"1 of {len(state)} weights have another shape, such as {name}: was"),
        (state | {name: [1, 2]}, f"{name} is no weight"),
        ({}, "another architecture, with weights such as none"),
    ):
        with pytest.raises(UserError, match=said):
            captioner.load_trainable_state(odd)
    captioner.load_trainable_state({key: value + 1 for key, value in state.items()})


@pytest.mark.parametrize("content", [{}, [], {"state_dict": None}, {"weights": {}}])
def test_what_is_no_checkpoint_is_said_so(content):
    with pytest.raises(UserError, match="none of rococap's"):
        captioner_state(content)
