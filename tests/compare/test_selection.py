"""Valid chooses and test reports; where test chooses, its luck is told."""

import numpy as np
import pytest
from made_runs import make_run

from rococap.compare.comparison import _corrected, compare
from rococap.compare.tables import legend
from rococap.metrics.bootstrap import interval
from rococap.report.compare import compare_page
from rococap.runs.folder import RunFolder
from rococap.runs.terminal import show_warnings


def test_valid_chooses_and_test_may_find_another_better(finished, tmp_path):
    for rank, skill, chosen in ((4, 0.3, 0.9), (8, 0.8, 0.5), (16, 0.3, 0.4)):
        for seed in (0, 1, 2):
            folder = make_run(finished, tmp_path / f"{rank}-{seed}", skill, lora__rank=rank, seed=seed)
            folder.note(best_score=chosen + seed / 100)
    seen = compare([tmp_path])
    assert (seen.chosen_by, seen.chosen) == ("val/facts", pytest.approx([0.91, 0.51, 0.41])) and not seen.once
    marks = [scores["facts"].mark for scores in seen.scores]
    assert marks == ["best", "better", "tie"] and "chosen on valid, by val/facts" in legend(seen)
    assert seen.scores[0]["facts"].corrected is None and seen.scores[2]["facts"].visible > 0
    on_test = compare([tmp_path], select="test")
    assert on_test.chosen_by is None and on_test.settings[0].values["lora.rank"] == 8
    best = on_test.scores[0]["facts"]
    assert best.mark == "best" and best.corrected is not None and best.corrected <= best.value


def test_a_loss_chooses_the_least_and_without_one_value_for_all_test_does(finished, tmp_path):
    for rank, loss in ((4, 2.0), (8, 1.0)):
        make_run(finished, tmp_path / str(rank), 0.5, lora__rank=rank).note(monitor="val/loss", best_score=loss)
    assert [s.values["lora.rank"] for s in compare([tmp_path]).settings] == [8, 4]
    RunFolder(tmp_path / "4").note(monitor="val/facts")
    seen = compare([tmp_path])
    assert seen.chosen_by is None and any("chosen on test: checkpoints were chosen by" in note for note in seen.notes)


@pytest.mark.parametrize(
    ("monitor", "setting", "comparable"),
    [
        ("val/facts", {"data__val_images": 20}, False),
        ("val/facts", {"data__max_tokens": 20}, True),
        ("val/loss", {"data__max_tokens": 20}, False),
        ("val/loss", {"lora__rank": 20}, True),
    ],
)
def test_valid_scores_of_other_images_and_losses_of_other_tokens_choose_nothing(
    monitor, setting, comparable, finished, tmp_path
):
    make_run(finished, tmp_path / "a", 0.5).note(monitor=monitor, best_score=0.5)
    make_run(finished, tmp_path / "b", 0.5, **setting).note(monitor=monitor, best_score=0.6)
    seen = compare([tmp_path])
    said = [note for note in seen.notes if "chosen on test" in note]
    name = next(iter(setting)).replace("__", ".")
    assert said == (
        [] if comparable else [f"the best was chosen on test: {monitor} is not of the same in all runs ({name})"]
    )
    assert (seen.chosen_by is not None) == comparable


def test_the_interval_of_several_seeds_knows_of_seeds(finished, tmp_path):
    for rank in (4, 8):
        for seed, skill in enumerate((0.4, 0.6, 0.8)):
            make_run(finished, tmp_path / f"{rank}-{seed}", skill, lora__rank=rank, seed=seed)
    score = compare([tmp_path]).scores[0]["facts"]
    over_images = interval(np.stack([sample.draws for sample in score.samples.values()], axis=1).mean(axis=1))
    assert score.ci_high - score.ci_low > 2 * float(over_images[1] - over_images[0])


@pytest.mark.parametrize("count", [2, 8])
def test_what_is_left_of_the_highest_of_equals_is_nearly_what_they_are_worth(count):
    draw = np.random.default_rng(0)
    above, left = [], []
    for _ in range(200):
        images = 0.25 * draw.standard_normal(200) + 0.3 * draw.standard_normal((count, 200))
        weights = draw.multinomial(200, np.full(200, 1 / 200), size=100) / 200
        values, draws = [np.array([row.mean()]) for row in images], [(weights @ row)[:, None] for row in images]
        highest = max(float(value[0]) for value in values)
        truth = float(np.mean(values))  # what the images drawn are worth to all
        above.append(highest - truth)
        left.append(_corrected(values, draws, range(count)) - truth)
    assert abs(np.mean(left)) < 0.4 * np.mean(above)


def test_runs_that_have_their_images_in_another_order_are_paired(finished, tmp_path):
    for rank in (4, 8):
        make_run(finished, tmp_path / str(rank), 0.5, lora__rank=rank).note(digests={})
    file = tmp_path / "8" / "predictions" / "test.jsonl"
    before = compare([tmp_path])
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[::-1]))
    after = compare([tmp_path])
    assert [s["facts"].value for s in after.scores] == [s["facts"].value for s in before.scores]
    assert after.scores[1]["facts"].p == pytest.approx(before.scores[1]["facts"].p)


def test_a_dataset_that_is_not_known_here_is_no_hindrance(finished, tmp_path):
    for rank in (4, 8):
        source = {"_target_": "someones.own.Dataset", "root": "x"}
        make_run(finished, tmp_path / str(rank), 0.5, lora__rank=rank, data__source=source)
    seen = compare([tmp_path])
    assert len(seen.settings) == 2
    assert "Without pictures" in compare_page(seen, "x")


def test_leaks_are_said_in_table_and_comparison(finished, tmp_path, capsys):
    for rank in (4, 8):
        folder = make_run(finished, tmp_path / str(rank), 0.5, lora__rank=rank)
    folder.note(doubts={"test": ["test: 3 of 60 images also stand in train"]})
    assert "test: 3 of 60 images also stand in train (8)" in compare([tmp_path]).notes
    show_warnings(folder)
    assert "test: 3 of 60 images also stand in train" in capsys.readouterr().out
