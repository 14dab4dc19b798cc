import json
import re

from rococap.report.plots import by_part, curves, distributions
from rococap.runs.results import Row


def drawn(plot):
    """The traces of a plot, as they stand in the page."""
    traces = re.search(r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*(\[.*?\]),\s*\{\"", plot, re.DOTALL)
    return json.loads(traces[1])


def title(plot):
    return re.search(r"<figcaption>(.*?)</figcaption>", plot)[1]


def test_every_image_is_in_a_histogram():
    plots = distributions({"facts": [0.0] * 3 + [1.0] * 7, "cider": [0.5] * 4})
    assert [title(plot) for plot in plots] == ["facts", "cider"]
    assert [sum(drawn(plot)[0]["y"]) for plot in plots] == [10, 4]
    assert drawn(plots[0])[0]["y"][0] == 3 and drawn(plots[0])[0]["y"][-1] == 7


def test_parts_of_a_kind_share_a_plot_with_their_intervals():
    ends = {"all": (0.4, 0.6), "modality=CT": (0.1, 0.4), "modality=MRI": (0.0, 0.9), "words=1-10": (None, None)}
    rows = [
        Row("test", "model", part, name, 0.3, low, high, 25, "")
        for part, (low, high) in ends.items()
        for name in ("cider", "facts")
    ]
    plots = by_part(rows, "facts")
    assert [title(plot) for plot in plots] == ["facts by modality", "facts by words"]
    (points,) = drawn(plots[0])
    assert points["x"] == ["CT<br>(25)", "MRI<br>(25)"] and points["y"] == [0.3, 0.3]
    assert [round(value, 6) for value in points["error_y"]["array"]] == [0.1, 0.6]
    assert [round(value, 6) for value in points["error_y"]["arrayminus"]] == [0.2, 0.3]
    assert drawn(plots[1])[0]["error_y"]["array"] == [0]


def test_curves_are_of_what_was_measured():
    epochs = [
        {"epoch": "0", "train/loss": "3.0", "val/loss": "", "val/bleu_1": "0.1", "val/bleu_2": "0.05"},
        {"epoch": "1", "train/loss": "2.0", "val/loss": "2.5", "val/bleu_1": "0.2", "val/bleu_2": "0.06"},
    ]
    plots = curves(epochs, ["bleu_1", "bleu_2", "cider"])
    assert [title(plot) for plot in plots] == ["loss", "bleu"]
    train, valid = drawn(plots[0])
    assert (train["name"], train["x"], train["y"]) == ("train", [1, 2], [3.0, 2.0])
    assert (valid["name"], valid["x"], valid["y"]) == ("valid", [2], [2.5])
    assert [line["name"] for line in drawn(plots[1])] == ["bleu_1", "bleu_2"]
