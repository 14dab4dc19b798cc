"""New folders meet no other; those that are set aside are kept."""

import os

import pytest

from rococap.runs.locks import hold_run, hold_sweep, is_held, new_folder, next_aside, set_aside
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
