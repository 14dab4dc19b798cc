import json
import logging
from pathlib import Path

import encoders
import numpy as np
import pytest
from commands import ROOT

from rococap.metrics import blind
from rococap.metrics.bertscore import BertScore
from rococap.metrics.encoder import TextEncoder
from rococap.metrics.measure import measure, ready
from rococap.metrics.signature import signature
from rococap.metrics.text import clean
from rococap.types import UserError

STORED = json.loads(Path(__file__).with_name("bertscore.json").read_text())
CAPTIONS = ["a ct of the head", "mri of the knee", "the chest", "a ct of the head"]
REFERENCES = [["axial ct of the head", "a head ct"], ["left knee mri"], ["chest"], ["an arrow"]]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    return lambda kind: folder / kind if (folder / kind).exists() else encoders.build(folder / kind, kind)


def metric(folder, idf=True):
    return BertScore(str(folder), layer=STORED["layer"], idf=idf, batch_size=7)


@pytest.mark.parametrize("name", STORED["scores"])
def test_equals_bert_score(name, encoder):
    kind, _, idf = name.partition("_")
    captions, references = zip(*STORED["pairs"], strict=True)
    texts = clean(captions, [[reference] for reference in references])
    statistics = metric(encoder(kind), bool(idf)).statistics(texts, np.arange(len(texts))[None])[0]
    np.testing.assert_allclose(statistics[:, :2], STORED["scores"][name], rtol=0, atol=2e-6)


def test_empty_texts(encoder):
    for idf in (False, True):
        for edition, both in ((2023, 1), (2026, 0)):
            scorer = metric(encoder("deberta"), idf)
            scorer.edition = edition
            scores = scorer(["", "", "arrow", " . ", "..."], [[""], ["arrow"], ["?"], ["mri"], ["!"]])
            for name in ("bertscore_recall", "bertscore_f1"):
                assert scores.per_sample[name].tolist() == [1, 0, 0, 0, both]


def test_one_token_in_every_reference_weighs_nothing(encoder):
    scores = metric(encoder("bert"))(["arrow", "mass"], [["arrow"], ["arrow"]])
    assert scores.corpus == {"bertscore_recall": 0.0, "bertscore_f1": 0.0}


def test_the_best_of_several_references_counts(encoder):
    scored = metric(encoder("roberta"), idf=False)
    both = scored(CAPTIONS[:1], REFERENCES[:1]).corpus
    alone = [scored(CAPTIONS[:1], [[reference]]).corpus for reference in REFERENCES[0]]
    assert both == pytest.approx({name: max(each[name] for each in alone) for name in both}, abs=1e-6)


def test_all_orders_take_one_pass_of_the_encoder(encoder, monkeypatch):
    encoded = []
    embed = TextEncoder.embed
    monkeypatch.setattr(TextEncoder, "embed", lambda self, t, n: (encoded.extend(t), embed(self, t, n))[1])
    scored = metric(encoder("deberta"))
    orders = blind.orders(4)
    measured = measure({"bertscore": scored}, CAPTIONS, REFERENCES, orders)["bertscore"]
    assert len(encoded) == len({*CAPTIONS, *(text for texts in REFERENCES for text in texts)})
    for order, found in zip(orders, scored.combine(measured.sum(axis=1)), strict=True):
        expected = scored([CAPTIONS[i] for i in order], REFERENCES).corpus
        assert found == pytest.approx(list(expected.values()), abs=1e-6)


def test_texts_of_any_length_where_the_tokenizer_knows_no_limit(encoder, tmp_path):
    folder = encoders.build(tmp_path / "roberta", "roberta")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert metric(folder, idf=False)(["left mass " * 90], [["left mass"]]).corpus["bertscore_f1"] > 0


def test_a_signature_names_encoder_layer_and_weighting(encoder):
    def signed(folder, idf):
        return signature(metric(folder, idf), "test", ["1"], [["a"]])

    assert "|model:bert|weights:" in signed(encoder("bert"), True)
    assert "|layer:3|idf:1|transformers:" in signed(encoder("bert"), True)
    assert "|idf:none|" in signed(encoder("bert"), False)


def test_imageclefs_metrics_by_score_py(encoder, run, tmp_path):
    lines = [
        {"id": str(i), "prediction": c, "references": r}
        for i, (c, r) in enumerate(zip(CAPTIONS, REFERENCES, strict=True))
    ]
    (tmp_path / "test.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    words = ["--metrics", "imageclef", "--set", f"bertscore.model={encoder('deberta')}", "bertscore.layer=3"]
    done = run(ROOT / "scripts/score.py", tmp_path / "test.jsonl", "--out", tmp_path, *words)
    assert done.returncode == 0, done.stderr
    for name in ("rouge_1", "bertscore_recall", "bertscore_f1"):
        assert name in done.stdout
    assert "LOAD REPORT" not in done.stdout + done.stderr


def test_other_weights_are_another_signature(encoder):
    assert TextEncoder(encoder("bert"), 3).checksum != TextEncoder(encoder("bert"), 2).checksum


def test_a_missing_encoder_is_named_with_the_command_that_gets_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    scored = {"bertscore": BertScore("microsoft/deberta-xlarge-mnli", layer=40, idf=True)}
    with caplog.at_level(logging.WARNING), pytest.raises(UserError, match="hf download microsoft/deberta-xlarge-mnli"):
        ready(scored)
    assert not caplog.records


def test_a_directory_that_is_no_encoder_is_refused(tmp_path):
    encoders.build(tmp_path, "bert")
    with pytest.raises(UserError, match=r"lacks 16 weights of its first 5 layers, such as encoder\.layer\.4"):
        TextEncoder(tmp_path, 5)
    (tmp_path / "config.json").unlink()
    with pytest.raises(UserError, match="cannot be loaded as an encoder"):
        TextEncoder(tmp_path, 3)
