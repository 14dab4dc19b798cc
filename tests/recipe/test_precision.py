import pytest
import torch

from rococap.recipe.precision import Precision, device_type
from rococap.types import UserError


def test_auto_is_fp32_on_a_cpu():
    assert Precision("auto", "fp32").on("cpu") == "fp32"
    assert Precision("auto", "fp32").lightning("cpu") == "32-true"


@pytest.mark.parametrize("compute", ["fp16", "bf16"])
def test_half_precision_is_refused_where_there_is_no_gpu(compute):
    with pytest.raises(UserError, match=f"precision={compute} needs a CUDA GPU"):
        Precision(compute, "fp32").lightning("cpu")


@pytest.mark.parametrize(("has_bf16", "auto"), [(True, "bf16"), (False, "fp16")])
def test_auto_takes_what_the_gpu_has(monkeypatch, has_bf16, auto):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert Precision("auto", "fp32").on("cuda") == auto
    if not has_bf16:
        with pytest.raises(UserError, match="no bf16"):
            Precision("bf16", "fp32").on("cuda")


def test_rounded_weights_are_refused_where_bitsandbytes_cannot_run(monkeypatch):
    assert Precision("auto", "nf4").on("cpu") == "fp32"
    with pytest.raises(UserError, match="precision=nf4 runs on a CUDA GPU or a CPU, not on mps"):
        Precision("auto", "nf4").on("mps")
    monkeypatch.setattr("rococap.recipe.precision.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install -c constraints.txt -e "\.\[quantised\]"'):
        Precision("auto", "int8").on("cpu")


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused():
    assert device_type("auto") == device_type("cpu") == "cpu"
    for accelerator in ("gpu", "cuda", "mps"):
        with pytest.raises(UserError, match="sees no"):
            device_type(accelerator)
