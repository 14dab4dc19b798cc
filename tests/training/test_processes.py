"""Several processes that train together take the step that one takes with all of their images."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from test_module import adapted, cache, fit, flat, step  # noqa: F401

from rococap.training.module import CaptionModule


@pytest.mark.parametrize(("size", "accumulate"), [(4, 1), (2, 2)])
def test_two_processes_step_as_one_with_the_same_images(size, accumulate):
    """By plain gradient descent without clipping: AdamW and clipping hide a constant factor of the gradient."""
    whole, _ = step(batch_size=8, accumulate=1)
    shared, _ = step(batch_size=size, accumulate=accumulate, devices=2, strategy="ddp_fork")
    assert float(flat(whole).norm()) > 0.1
    assert float((flat(shared) - flat(whole)).norm() / flat(whole).norm()) < 1e-5


def test_a_process_that_has_no_image_of_a_batch_adds_nothing():
    one, _ = step(batch_size=3, accumulate=1, images=2)
    three, _ = step(batch_size=1, accumulate=1, images=2, devices=3, strategy="ddp_fork")
    assert float(flat(one).norm()) > 0.1
    assert float((flat(three) - flat(one)).norm() / flat(one).norm()) < 1e-5


def test_each_seed_epoch_batch_and_process_draws_its_own_dropout(monkeypatch):
    def drawn(seed, epoch, batch, rank):
        module = CaptionModule(torch.nn.Identity(), None, None, None, {}, seed=seed)
        module._trainer = SimpleNamespace(optimizers=[], precision_plugin=None)
        for name, value in (("current_epoch", epoch), ("global_rank", rank)):
            monkeypatch.setattr(CaptionModule, name, value)
        module.on_train_batch_start(None, batch)
        return float(torch.rand(()))

    places = list(itertools.product((0, 1), (0, 1, 2), (0, 1, 2), (0, 1)))
    first = [drawn(*place) for place in places]
    assert len(set(first)) == len(places)
    assert [drawn(*place) for place in places] == first
