"""Workers run for real, on stand-ins: packages with the interface of the real ones, and scores that can be foretold."""

import hashlib
import sys
import textwrap

import numpy as np
import pytest

from rococap.evaluation.split_scores import corpus_scores, score_predictions
from rococap.metrics import blind
from rococap.metrics.alignscore import AlignScore
from rococap.metrics.bleurt import Bleurt
from rococap.metrics.measure import measure, ready
from rococap.metrics.medcat import MedCat
from rococap.metrics.radeval import RadEval
from rococap.metrics.rouge_1 import Rouge1
from rococap.runs.terminal import score_table
from rococap.types import Concept, Example, Prediction, UserError

CHEST, KNEE = Concept("C0817096", "Chest", True), Concept("C0023216", "Lower extremity", True)
COMMON = """
def common(one, other):
    print("libraries print to standard output")
    one, other = set(one.split()), set(other.split())
    return len(one & other) / max(1, len(one | other))
"""
# radeval 2.2's `RadEval(metrics, per_sample, show_progress)(refs, hyps)` and `f1chexbert_scorer`.
RADEVAL = """
import os
import nltk
from types import SimpleNamespace
nltk.download("punkt_tab")
assert os.environ["HF_HUB_OFFLINE"] == "1"
class RadEval:
    def __init__(self, metrics=None, per_sample=False, show_progress=True):
        assert set(metrics) <= {"radgraph", "ratescore", "green", "f1chexbert"}
        self.metrics, self.per_sample = metrics, per_sample
        words = ["edema", "nodule", "effusion"]
        labels = lambda texts: [[int(word in text) for word in words] for text in texts]
        self.f1chexbert_scorer = SimpleNamespace(get_labels=labels, top5_idx=[0, 2])
    def __call__(self, refs, hyps):
        assert self.per_sample and isinstance(refs, list) and "f1chexbert" not in self.metrics
        each = [None if "odd" in hyp else common(ref, hyp) for ref, hyp in zip(refs, hyps, strict=True)]
        keys = {"radgraph": ["radgraph_simple", "radgraph_partial", "radgraph_complete"]}
        return {key: list(each) for name in self.metrics for key in keys.get(name, [name])}
"""
ALIGNSCORE = """
class AlignScore:
    def __init__(self, model, batch_size, device, ckpt_path, evaluation_mode="nli_sp", verbose=True):
        assert open(ckpt_path).read() == "weights" and evaluation_mode == "nli_sp"
    def score(self, contexts, claims):
        if "" in claims:
            raise RuntimeError("stack expects a non-empty TensorList")
        return [common(*pair) for pair in zip(contexts, claims, strict=True)]
"""
MEDCAT = """
class CAT:
    @classmethod
    def load_model_pack(cls, model_pack_path):
        open(model_pack_path).close()
        return cls()
    def get_entities(self, text):
        found = [word for word in text.split() if word in ("edema", "nodule", "left")]
        return {"entities": {i: {"cui": word.upper(), "pretty_name": word} for i, word in enumerate(found)}}
"""
NLTK = """
def download(name):
    raise SystemExit("something was downloaded")
"""
TORCH = """
class cuda:
    is_available = staticmethod(lambda: False)
class inference_mode:
    __enter__ = __exit__ = lambda *_: None
"""
BLEURT = """
from types import SimpleNamespace
class BleurtTokenizer:
    @classmethod
    def from_pretrained(cls, name):
        return lambda references, captions, **options: Batch(pairs=list(zip(references, captions)))
class Batch(dict):
    to = lambda self, device: self
class BleurtForSequenceClassification:
    @classmethod
    def from_pretrained(cls, name):
        return cls()
    eval = lambda self: self
    to = lambda self, device: self
    def __call__(self, pairs):
        return SimpleNamespace(logits=SimpleNamespace(flatten=lambda: SimpleNamespace(
            tolist=lambda: [common(*pair) for pair in pairs])))
"""


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Packages on a worker's path."""
    folder = tmp_path / "packages"
    sources = {
        "radeval": COMMON + RADEVAL,
        "alignscore": COMMON + ALIGNSCORE,
        "medcat/cat": MEDCAT,
        "medcat/__init__": "",
    }
    for name, source in (sources | {"nltk": NLTK, "torch": TORCH, "bleurt_pytorch": COMMON + BLEURT}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    for name in ("radeval", "alignscore", "medcat"):
        info = folder / f"{name}-2.2.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.2.1\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    (tmp_path / "a.ckpt").write_text("weights")
    return tmp_path


def common(one, other):
    one, other = set(one.split()), set(other.split())
    return len(one & other) / len(one | other)


def predictions(*captions, chest=range(3)):
    references = [("an edema", "left edema"), ("a nodule in it",), ("no effusion",), ("a knee",)]
    return [
        Prediction(f"image{n}", caption, references[n], (CHEST if n in chest else KNEE,))
        for n, caption in enumerate(captions)
    ]


SAID = ("left edema there", "a nodule", "no effusion at all", "a knee")


def test_radeval_scores_images_of_the_chest_alone_and_says_so(stand_ins):
    metric = RadEval(["radgraph", "f1chexbert"], python=sys.executable)
    ready({"radeval": metric})
    scored = score_predictions({"radeval": metric}, predictions(*SAID), "test")
    rows = {row.metric: row for row in scored.rows()}
    each = [2 / 3, 2 / 4, 2 / 4]
    assert rows["radgraph_simple"].value == pytest.approx(np.mean(each)) and rows["radgraph_simple"].n == 3
    assert "|part:region=chest|" in rows["radgraph_simple"].signature
    assert "radeval:2.2.1" in rows["radgraph_simple"].signature
    assert rows["f1chexbert_all_micro_f1"].value == rows["f1chexbert_5_micro_f1"].value == 1
    assert rows["f1chexbert_all_micro_f1_blind"].value == 0  # of the chest's own images: all others' labels are wrong
    corpus = metric.scores(scored.statistics["radeval"][0]).corpus  # as a comparison counts them
    assert corpus["radgraph_simple"] == rows["radgraph_simple"].value and scored.per_sample() == {}
    assert "(3)" in str(list(score_table([*scored.rows(), *_of_all()]).columns[0].cells))
    every = score_predictions({"radeval": RadEval(["ratescore"], "all", sys.executable)}, predictions(*SAID), "test")
    (row,) = [row for row in every.rows() if row.metric == "ratescore"]
    assert row.n == 4 and row.value == pytest.approx(np.mean([*each, 1])) and "part:" not in row.signature
    examples = [Example(p.id, None, p.references, p.concepts) for p in predictions(*SAID)]
    values = corpus_scores({"radeval": metric}, SAID, examples, "valid")
    assert values["radgraph_complete"] == rows["radgraph_complete"].value


def _of_all():
    return score_predictions({"rouge_1": Rouge1()}, predictions(*SAID), "test").rows()


def test_what_radeval_cannot_score_is_named_and_no_0(stand_ins):
    metric = RadEval(["ratescore"], python=sys.executable)
    with pytest.raises(UserError, match=r"radeval gives 1 of 3 images of test no number: image1 \(the metric gave no"):
        score_predictions({"radeval": metric}, predictions("a", "odd", "b", "c"), "test", with_blind=False)
    with pytest.raises(UserError, match=r"score images of region=chest alone.*none of the 4 of test is(?s:.*)part=all"):
        score_predictions({"radeval": metric}, predictions(*SAID, chest=()), "test")
    with pytest.raises(UserError, match=r"scores has no chexpert.\nThere are: radgraph, ratescore"):
        RadEval(["chexpert"])
    with pytest.raises(UserError, match="FileNotFoundError: StanfordAIMI/GREEN-radllama2-7b is not in the cache"):
        ready({"radeval": RadEval(["green"], python=sys.executable)})


def test_alignscore_is_that_of_each_pair(stand_ins):
    metric = AlignScore(str(stand_ins / "a.ckpt"), python=sys.executable)
    ready({"alignscore": metric})
    said, orders = predictions(*SAID), blind.orders(4)[:3]
    found = measure({"a": metric}, SAID, [p.references for p in said], orders)["a"]
    for order, row in zip(orders, metric.combine(found)[..., 0], strict=True):
        best = [max(common(text, SAID[i]) for text in p.references) for i, p in zip(order, said, strict=True)]
        np.testing.assert_allclose(row, best)
    assert metric.settings(4) == (
        "model:roberta-base",
        f"weights:{hashlib.sha256(b'weights').hexdigest()[:8]}",
        "alignscore:2.2.1",
    )
    with pytest.raises(
        UserError, match=r"alignscore gives 1 of 4 images of test no number: image1 \(RuntimeError: stack"
    ):
        score_predictions({"a": metric}, predictions("a", "", "b", "c"), "test", with_blind=False)


def test_medcat_counts_concepts_as_imageclef_does(stand_ins):
    (stand_ins / "pack.zip").write_text("")
    metric = MedCat(str(stand_ins / "pack.zip"), sys.executable)
    ready({"medcat": metric})
    scores = metric(["left edema", "a nodule", "an edema", "none"], [["left nodule"], ["a nodule"], ["left"], ["none"]])
    np.testing.assert_allclose(scores.per_sample["medcat"], [0.5, 1, 0, 0])
    assert metric.settings(4) == ("model:pack", "medcat:2.2.1")


def test_bleurt_is_that_of_each_pair(stand_ins):
    metric = Bleurt("model", sys.executable, batch_size=2)
    scores = metric(list(SAID), [p.references for p in predictions(*SAID)])
    np.testing.assert_allclose(scores.per_sample["bleurt"], [2 / 3, 2 / 4, 2 / 4, 1])
    assert metric(["...", "\ud800a"], [["a"], ["a"]]).per_sample["bleurt"].tolist() == [0, 1]  # of nothing, and of a


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (RadEval(["radgraph"]), r'(?s)pip install "radeval.*RadEval\(metrics=\[.radgraph.\]'),
        (
            RadEval(["radgraph"], python=sys.executable),
            "(?s)radeval failed in .*No module named 'radeval'.*pip install",
        ),
        (AlignScore(None), "(?s)pip install .*AlignScore.*hf download yzha/AlignScore"),
        (AlignScore("none.ckpt", python=sys.executable), "(?s)checkpoint=none.ckpt is no file.*pip install"),
        (MedCat(None), r"(?s)pip install .medcat\[.*metrics.medcat.model=PACK"),
        (MedCat("none", sys.executable), "metrics.medcat.model=none is not there"),
        (MedCat(__file__, "/nowhere/python"), "does not run: No such file"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_gets_it(metric, said):
    with pytest.raises(UserError, match=said):
        ready({"metric": metric})
