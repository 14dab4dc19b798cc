import pytest
import torch

from rococap.precision import Precision, device_type
from rococap.types import UserError


def test_auto_is_fp32_on_a_cpu():
    assert Precision("auto").on("cpu") == "fp32"
    assert Precision("auto").lightning("cpu") == "32-true"


@pytest.mark.parametrize("compute", ["fp16", "bf16"])
def test_half_precision_is_refused_where_there_is_no_gpu(compute):
    with pytest.raises(UserError, match=f"precision={compute} needs a CUDA GPU"):
        Precision(compute).lightning("cpu")


@pytest.mark.parametrize(("has_bf16", "auto"), [(True, "bf16"), (False, "fp16")])
def test_auto_takes_what_the_gpu_has(monkeypatch, has_bf16, auto):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert Precision("auto").on("cuda") == auto
    if not has_bf16:
        with pytest.raises(UserError, match="no bf16"):
            Precision("bf16").on("cuda")


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused():
    assert device_type("auto") == device_type("cpu") == "cpu"
    for accelerator in ("gpu", "cuda", "mps"):
        with pytest.raises(UserError, match="sees no"):
            device_type(accelerator)
