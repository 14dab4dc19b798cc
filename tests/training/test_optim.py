import torch

from rococap.training.optim import constant, cosine, linear, parameter_groups


def _rates(schedule, steps=100, **settings):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = schedule(optimizer, steps, **settings)
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def test_schedules_warm_up_and_end_as_named():
    for schedule in (linear, cosine, constant):
        rates = _rates(schedule, warmup=0.1)
        assert rates[0] == 0 and rates[5] == 0.5 and rates[10] == max(rates) == 1.0
    assert abs(_rates(linear, warmup=0.1)[55] - 0.5) < 1e-9
    assert abs(_rates(cosine, warmup=0.1)[55] - 0.5) < 1e-9
    assert _rates(linear, warmup=0.0)[-1] < 0.02 and _rates(cosine, warmup=0.0)[-1] < 0.001
    assert _rates(constant, warmup=0.0)[-1] == 1.0


def test_vectors_are_not_decayed_and_frozen_weights_are_left_out():
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2), torch.nn.Linear(2, 2))
    module[2].requires_grad_(False)
    matrices, vectors = parameter_groups(module)
    assert [p.ndim for p in matrices["params"]] == [2] and "weight_decay" not in matrices
    assert [p.ndim for p in vectors["params"]] == [1, 1, 1] and vectors["weight_decay"] == 0.0
