"""What is recorded of code and config files."""

from rococap.runs.environment import digests


def test_a_digest_changes_with_any_file_and_is_read_once(tmp_path):
    for name, text in (("a", "x: 1"), ("b", "x: 1"), ("c", "x: 2")):
        (tmp_path / name / "group").mkdir(parents=True)
        (tmp_path / name / "group" / "file.yaml").write_text(text)
    a, b, c = (digests(tmp_path / name) for name in "abc")
    assert a == b and a["conf"] != c["conf"] and a["code"] == c["code"]
    (tmp_path / "a" / "group" / "more.yaml").touch()
    assert digests(tmp_path / "a") == a  # this process runs what it began with
