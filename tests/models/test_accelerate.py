"""What is quicker must be the same."""

import pytest
import torch
from commands import LORA, shape
from torch import nn

from rococap.models.accelerate import Dropout, accelerate
from rococap.models.lora import add_lora
from rococap.models.tiny import tiny


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5])
def test_dropout_keeps_the_share_and_the_mean_and_masks_the_gradient_alike(p):
    torch.manual_seed(0)
    values = torch.ones(1001, 999, requires_grad=True)
    out = Dropout(p)(values)
    kept = out != 0
    assert abs(float(kept.float().mean()) - (1 - p)) < 5 * (p * (1 - p) / values.numel()) ** 0.5
    assert torch.allclose(out[kept], torch.tensor(1 / (1 - p)), rtol=1e-4)
    out.sum().backward()
    assert torch.equal(values.grad, out.detach())
    columns, rows = kept.float().mean(0), kept.float().mean(1)  # no stripes: each has the spread of independent draws
    for share, draws in ((columns, 1001), (rows, 999)):
        assert 0.8 < float(share.std()) / (p * (1 - p) / draws) ** 0.5 < 1.2


def test_dropout_is_reproduced_by_a_seed_and_off_in_eval_mode():
    module, values = Dropout(0.3), torch.randn(7, 3)
    torch.manual_seed(1)
    first = module(values)
    torch.manual_seed(1)
    assert torch.equal(first, module(values)) and not torch.equal(first, module(values))
    assert module.eval()(values) is values


def test_the_network_computes_the_same_and_every_part_is_exchanged():
    torch.manual_seed(0)
    captioner = tiny()
    add_lora(captioner, **(LORA | {"dropout": 0.1}))
    captioner.eval()
    ids, mask = torch.randint(5, 200, (3, 9)), torch.ones(3, 9, dtype=torch.long)
    features = torch.randn(3, *shape(captioner))

    def gradients():
        captioner.zero_grad()
        loss = captioner(features, ids, mask)[0]
        loss.backward()
        return loss.detach(), [p.grad.clone() for p in captioner.parameters() if p.grad is not None]

    loss, expected = gradients()
    accelerate(captioner.network)
    quick, found = gradients()
    torch.testing.assert_close(quick, loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    kinds = {type(module) for module in captioner.network.modules()}
    assert nn.Dropout not in kinds and Dropout in kinds and "NewGELUActivation" not in {kind.__name__ for kind in kinds}
