"""A program that sweeps as train.py does, with a task that takes no time; in a copy of the checkout, to be changed."""

import shutil
import textwrap

from commands import ROOT, command, start

PROGRAM = """
    import os, signal, sys, time
    from pathlib import Path

    import hydra
    from hydra.core.hydra_config import HydraConfig

    from rococap.runs.changes import conf_folder
    from rococap.checks.command_line import check_command_line
    from rococap.runs.claims import claim
    from rococap.cli import user_errors
    from rococap.config import build, register
    from rococap.runs.environment import environment
    from rococap.runs.interruption import guarded
    from rococap.runs.session import session
    from rococap.sweeps.plugins import register_sweepers
    from rococap.types import UserError

    CONF = Path(__file__).parent / "conf"
    DOES = {101: "fail", 102: "mistake", 103: "wait", 104: "exit", 105: "interrupt", 106: "linger", 107: "exit beside"}


    def wait_for(holds):
        end = time.monotonic() + 60
        while not holds() and time.monotonic() < end:
            time.sleep(0.05)


    @hydra.main(config_path=str(CONF), config_name="train", version_base="1.3")
    @guarded
    def main(cfg):
        folder = claim(Path(HydraConfig.get().runtime.output_dir), cfg)
        does = DOES.get(cfg.seed) if not Path("mended").exists() else None  # settled before it says that it runs
        with session(folder):
            print("works on", folder.path.name, flush=True)
            facts = environment(conf_folder(HydraConfig.get()), "cpu", "32-true", build(cfg.data.source).fingerprint())
            folder.write_json("environment.json", facts)
            if does == "fail":
                raise RuntimeError("a bug\\nof many lines")
            if does == "mistake":
                raise UserError("the disk is full")
            if does == "wait":
                time.sleep(60)
            if does == "linger":
                wait_for(lambda: Path("mended").exists())
            if does == "exit beside":
                wait_for(lambda: len(list(folder.path.parent.glob("*/environment.json"))) > 1)
            if does in ("exit", "exit beside"):
                os._exit(9)
            if does == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
            folder.note(monitor="val/loss", best_score=abs(cfg.optimizer.lr - 0.003) + cfg.lora.rank / 1000)
        return folder.best_score


    if __name__ == "__main__":
        register()
        register_sweepers()
        with user_errors():
            check_command_line(CONF)
            main()
        print("heavy:", [name for name in ("torch", "transformers") if name in sys.modules])
"""
PHANTOM = ["data=phantom", "model=tiny", "metrics=[]", "logger=[]", "callbacks=[]"]


def checkout(place):
    """What a checkout holds that makes a difference to a run, and the program."""
    for part in ("rococap", "conf"):
        shutil.copytree(ROOT / part, place / part)
    (place / "program.py").write_text(textwrap.dedent(PROGRAM))
    return place


def begin(place, *words):
    """Start the program."""
    return start("program.py", *words, *PHANTOM, cwd=place, cache=place / "cache", kind="light")


def sweep(place, *words, **options):
    """Run the program to its end."""
    return command("program.py", *words, *PHANTOM, cwd=place, cache=place / "cache", kind="light", **options)


def worked_on(done):
    """The jobs that a sweep ran, by their folders."""
    return [line.removeprefix("works on ") for line in done.stdout.splitlines() if line.startswith("works on ")]


def row(done, job):
    """A job's row of the table: state, best value, time."""
    rows = [line.split() for line in done.stdout.splitlines()]
    return next(cells[1:] for cells in rows if cells[:1] == [job] and cells[1:])


def snapshot(folder):
    """When each file below a folder was last written, but for locks, which older versions of filelock write anew."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(".lock")]
    return {str(file): file.stat().st_mtime_ns for file in files}
