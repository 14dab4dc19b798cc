import pytest

from rococap.metrics.text import clean, clean_line


def test_no_character_ends_the_line():
    everything = "".join(map(chr, range(0x110000)))
    line = clean_line(everything)
    assert len(line.splitlines()) == 1
    assert len(line) == len(everything)
    line.encode()


@pytest.mark.parametrize("count", range(2, 9))
def test_bars_cannot_pass_for_meteors_separator(count):
    line = clean_line("a" + "|" * count)
    assert "|||" not in line
    assert line.count("|") == count


@pytest.mark.parametrize(
    ("predictions", "references", "said"),
    [
        ([], [], "no predictions"),
        (["a"], [], "1 predictions, but 0"),
        (["a", "b"], [["a"], []], "row 1"),
        (["a"], ["a"], "lists of texts"),
    ],
)
def test_what_cannot_be_scored_is_refused(predictions, references, said):
    with pytest.raises(ValueError, match=said):
        clean(predictions, references)
