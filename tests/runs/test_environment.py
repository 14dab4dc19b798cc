"""What is recorded of code, config files and memory."""

import sys

import pytest

from rococap.runs.environment import digests, peak_memory, reset_peak_memory


def test_a_digest_changes_with_any_file_and_is_read_once(tmp_path):
    for name, text in (("a", "x: 1"), ("b", "x: 1"), ("c", "x: 2")):
        (tmp_path / name / "group").mkdir(parents=True)
        (tmp_path / name / "group" / "file.yaml").write_text(text)
    a, b, c = (digests(tmp_path / name) for name in "abc")
    assert a == b and a["conf"] != c["conf"] and a["code"] == c["code"]
    (tmp_path / "a" / "group" / "more.yaml").touch()
    assert digests(tmp_path / "a") == a  # this process runs what it began with


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux measures anew")
def test_the_peak_is_that_of_a_job_not_of_the_jobs_before_it():
    held = bytearray(400 * 2**20)
    held[:: 2**12] = b"x" * len(held[:: 2**12])  # touches each page
    high = peak_memory("cpu")["rss_mib"]
    assert high > 400
    del held
    assert peak_memory("cpu")["rss_mib"] > high - 10
    reset_peak_memory("cpu")
    assert peak_memory("cpu")["rss_mib"] < high - 300
