import os
import sys
from pathlib import Path

import numpy as np
import pytest

from rococap.metrics import blind
from rococap.metrics.bleurt import Bleurt
from rococap.metrics.measure import measure, ready
from rococap.types import UserError

MODEL = "lucadiliello/BLEURT-20-D12"
CAPTIONS, REFERENCES = ["an axial ct", "mri", ""], [["ct of the head", "a head ct"], ["left knee mri"], ["an arrow"]]


@pytest.mark.parametrize(
    ("python", "said"),
    [
        (None, "needs bleurt-pytorch in a Python of its own"),
        ("/nowhere/python", "does not run: No such file"),
        (sys.executable, "bleurt failed in .*bleurt_pytorch"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_gets_it(python, said):
    with pytest.raises(UserError, match=said) as refusal:
        ready({"bleurt": Bleurt(MODEL, python)})
    assert f"hf download {MODEL}" in str(refusal.value)


@pytest.mark.skipif("BLEURT_PYTHON" not in os.environ, reason="BLEURT_PYTHON and BLEURT_MODEL name no installation")
def test_scores_of_any_order_are_those_of_each_pair():
    metric = Bleurt(os.environ["BLEURT_MODEL"], os.environ["BLEURT_PYTHON"], batch_size=2)
    orders = blind.orders(3)[:3]
    found = measure({"bleurt": metric}, CAPTIONS, REFERENCES, orders)["bleurt"]
    for order, row in zip(orders, found, strict=True):
        alone = [metric([CAPTIONS[i]], [texts]).corpus["bleurt"] for i, texts in zip(order, REFERENCES, strict=True)]
        np.testing.assert_allclose(row[:, 0], alone, atol=1e-5)
    assert metric.settings(3) == (f"model:{Path(os.environ['BLEURT_MODEL']).name}",)
