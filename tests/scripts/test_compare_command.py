from commands import ROOT
from made_runs import make_run

SCRIPT = ROOT / "scripts" / "compare.py"


def test_a_sweep_is_compared_by_one_command(finished, run, tmp_path):
    for rank in (4, 8):
        make_run(finished, tmp_path / "sweep" / str(rank), rank / 10, lora__rank=rank)
    make_run(finished, tmp_path / "other", 0.5, lora__rank=2)
    done = run(SCRIPT, tmp_path / "sweep", tmp_path / "other")
    assert done.returncode == 0, done.stderr
    assert "lora.rank" in done.stdout and "compare.html" in done.stdout
    written = {file.name for file in (tmp_path / "sweep").iterdir() if file.is_file()}
    assert written == {"compare.html", "compare.csv", "compare.md"}


def test_what_cannot_be_compared_is_said_in_a_line(finished, run, tmp_path):
    make_run(finished, tmp_path / "lone", 0.5)
    for place, said in (("lone", "Two runs with test scores are needed"), ("nowhere", "is no folder")):
        done = run(SCRIPT, tmp_path / place)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["lone"]
