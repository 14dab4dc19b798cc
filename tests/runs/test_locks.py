"""New folders meet no other; those that are set aside are kept."""

import os
import re
import socket
import subprocess
import sys
import time

import filelock
import pytest
from commands import held

from rococap.runs.lock import is_taken, take
from rococap.runs.locks import hold_run, hold_sweep, is_held, new_folder, next_aside, set_aside, who_holds
from rococap.types import UserError


def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        hold_run(tmp_path / "file" / "run")
    with pytest.raises(UserError, match="cannot be written"):
        new_folder(tmp_path / "file" / "run")


def test_runs_of_one_second_get_folders_of_their_own(tmp_path):
    folders = [new_folder(tmp_path / "10-00-00") for _ in range(3)]
    assert [folder.name for folder in folders] == ["10-00-00", "10-00-00_2", "10-00-00_3"]


def test_a_folder_that_is_set_aside_keeps_its_files_and_frees_its_name(tmp_path):
    path = tmp_path / "run"
    for content in ("first", "second"):
        hold_run(path)
        (path / "train.log").write_text(content)
        set_aside(path)
        assert not path.exists()
    assert [(tmp_path / f"run~{n}" / "train.log").read_text() for n in (1, 2)] == ["first", "second"]
    (tmp_path / "a.json").write_text("")
    assert next_aside(tmp_path / "a.json").name == "a~1.json"


def test_a_run_and_a_sweep_do_not_share_a_folder(tmp_path):
    hold_sweep(tmp_path / "sweep")
    with pytest.raises(UserError, match="holds a sweep"):
        hold_run(tmp_path / "sweep")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("seed: 0")
    with pytest.raises(UserError, match="holds a run"):
        hold_sweep(tmp_path / "run")


def test_what_this_process_holds_is_not_held_by_another(tmp_path):
    assert not is_held(tmp_path / "run")
    hold_run(tmp_path / "run")
    assert not is_held(tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every file")
def test_a_lock_that_cannot_be_opened_may_well_be_held(tmp_path):
    (tmp_path / ".lock").touch(0o444)
    assert is_held(tmp_path)


ASK = """
import sys
from pathlib import Path
from rococap.runs.lock import is_taken
file, said = Path(sys.argv[1]), {True: 0, False: 0}
print("asking", flush=True)
while file.parent.exists():
    said[is_taken(file)] += 1
print(said[True], said[False])
"""


def test_asking_takes_nothing_however_often(tmp_path):
    """Two ask without a pause while 2,000 runs begin and end; by a probe with flock one in three did not begin."""
    folder = tmp_path / "run"
    folder.mkdir()
    command = [sys.executable, "-c", ASK, str(folder / ".lock")]
    asking = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for each in asking:
        assert each.stdout.readline() == "asking\n"
    begun = 0
    for _ in range(2000):
        if (handle := take(folder / ".lock")) is not None:
            begun += 1
            os.close(handle)
    time.sleep(0.2)  # both answers are given
    handle = take(folder / ".lock")
    time.sleep(0.2)
    said = [0, 0]
    for entry in folder.iterdir():
        entry.unlink()
    folder.rmdir()
    for each in asking:
        said = [total + int(count) for total, count in zip(said, each.communicate(timeout=30)[0].split(), strict=True)]
    os.close(handle)
    assert begun == 2000 and min(said) > 0, (begun, said)


def test_a_held_folder_says_who_holds_it_and_is_free_once_that_process_is_killed(tmp_path):
    with held(tmp_path / "run"):
        assert is_held(tmp_path / "run")
        assert re.fullmatch(rf"process \d+ on {re.escape(socket.gethostname())}", who_holds(tmp_path / "run"))
        with pytest.raises(Exception, match=r"a run is going on there \(process \d+ on"):
            hold_run(tmp_path / "run")
    assert not is_held(tmp_path / "run") and who_holds(tmp_path / "run") == ""


def test_a_lock_of_an_earlier_version_keeps_others_out(tmp_path):
    """Which held flock alone; as did whoever holds ours for it."""
    with filelock.FileLock(tmp_path / ".lock", timeout=0):
        assert take(tmp_path / ".lock") is None
    handle = take(tmp_path / ".lock")
    with pytest.raises(filelock.Timeout):
        filelock.FileLock(tmp_path / ".lock").acquire(timeout=0)
    os.close(handle)


def test_a_lock_is_no_way_out_of_the_folder(tmp_path):
    (tmp_path / "precious").write_text("years of work")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(Exception, match="cannot be written"):
        hold_run(tmp_path / "run")
    assert not is_taken(tmp_path / "run" / ".lock") and (tmp_path / "precious").read_text() == "years of work"
