"""Whole or not at all, whatever happens meanwhile."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from rococap.data.kept.files import whole_file, write_whole
from rococap.types import UserError

KILLED = """
import os, signal, sys
from pathlib import Path
from rococap.data.kept.files import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_text_bytes_and_what_writes_itself(tmp_path):
    for content in ("ä\n", "ä\n".encode(), lambda file: file.write("ä\n".encode())):
        write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == "ä\n".encode()
        (tmp_path / "file").unlink()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, UserError])
def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    write_whole(path, "old")
    with pytest.raises(error), whole_file(path) as file:
        file.write(b"new")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_what_was_there_and_the_next_clears_up(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -signal.SIGKILL
    assert path.read_text() == "old" and (tmp_path / "file.tmp").read_text() == "half"
    write_whole(path, "new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_what_does_not_fit_is_told_with_what_to_do(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot be written .*File too large.*\nBuy a disk"):
            write_whole(path, "x" * 2000, "Buy a disk")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: done.append("sync") or sync(handle))
    monkeypatch.setattr("pathlib.Path.replace", lambda path, target: done.append("name") or replace(path, target))
    write_whole(tmp_path / "file", "content")
    assert done == ["sync", "name", "sync"]


def test_what_stands_in_the_way_is_not_written_through(tmp_path):
    """A link of the name that is written first: what it points to stays as it was."""
    (tmp_path / "precious").write_text("years of work")
    (tmp_path / "a.json.tmp").symlink_to("precious")
    write_whole(tmp_path / "a.json", "new")
    assert ((tmp_path / "precious").read_text(), (tmp_path / "a.json").read_text()) == ("years of work", "new")


def test_half_a_character_does_not_keep_the_rest_from_being_written(tmp_path):
    write_whole(tmp_path / "a.html", "a nodule \ud800 left")
    assert (tmp_path / "a.html").read_text() == "a nodule ? left"
