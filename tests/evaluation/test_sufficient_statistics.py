import numpy as np
from made_runs import METRICS, caption, make_run

from rococap.config import build
from rococap.evaluation.sufficient_statistics import keep, statistics

FACTS = build({"facts": {"_target_": METRICS["facts"]}})


def test_what_was_counted_is_read_back_and_not_counted_again(finished, tmp_path):
    run = make_run(finished, tmp_path / "run", 0.5).path
    counted = statistics(run, "test", FACTS)["facts"]
    assert counted.shape == (60, 2)
    keep(run, "test", {"facts": counted + 1})  # which no captions give: only read, it can come back
    assert np.array_equal(statistics(run, "test", FACTS)["facts"], counted + 1)
    assert sorted(file.name for file in (run / "scores").iterdir()) == ["test_statistics.npz"]


def test_other_captions_are_counted_anew(finished, tmp_path):
    run = make_run(finished, tmp_path / "run", 0.5).path
    before = statistics(run, "test", FACTS)["facts"]
    caption(run, 1.0)
    after = statistics(run, "test", FACTS)["facts"]
    assert after[:, 0].sum() > before[:, 0].sum()
    assert np.array_equal(statistics(run, "test", FACTS)["facts"], after)


def test_another_metric_joins_those_that_are_kept(finished, tmp_path):
    run = make_run(finished, tmp_path / "run", 0.5).path
    keep(run, "test", {"facts": np.ones((60, 2))})
    both = build({name: {"_target_": METRICS[name]} for name in ("facts", "cider")})
    assert statistics(run, "test", both)["cider"].shape == (60, 2)
    assert np.array_equal(statistics(run, "test", FACTS)["facts"], np.ones((60, 2)))


class Bomb:
    """Unpickled, it writes a file."""

    def __reduce__(self):
        return open, ("ran", "w")


def test_what_is_damaged_is_counted_anew(finished, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run(finished, tmp_path / "run", 0.5).path
    counted = statistics(run, "test", FACTS)["facts"]
    file = run / "scores" / "test_statistics.npz"
    whole, digest = file.read_bytes(), np.load(file)["predictions_sha256"]

    def with_a_bomb():
        np.savez(file, predictions_sha256=digest, facts=np.array([Bomb()], dtype=object))

    damages = [lambda: file.write_bytes(whole[: len(whole) // 2]), lambda: file.write_bytes(b""), with_a_bomb]
    damages.append(lambda: np.savez(file, facts=counted))
    damages.append(lambda: file.write_bytes(whole.replace(whole[60:64], b"\xff\xff\xff\xff")))
    for number, damage in enumerate(damages, start=1):
        damage()
        assert np.array_equal(statistics(run, "test", FACTS)["facts"], counted)
        assert sum("is damaged" in message for message in caplog.messages) == number
    assert not (tmp_path / "ran").exists()
