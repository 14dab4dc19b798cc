"""Mistakes in how runs and sweeps are kept: folders, locks, what has changed, what goes on, what a command line means."""

from mutation import Mutation as M

LOCKS = "rococap/runs/locks.py"
CHANGES = "rococap/runs/changes.py"
FOLDER = "rococap/runs/folder.py"
SWEEPER = "rococap/sweeps/sweeper.py"
JOBS = "rococap/sweeps/jobs.py"
COMPOSER = "rococap/checks/jobs.py"
OVERRIDES = "rococap/checks/overrides.py"

RUNS = [
    M(
        "a held folder is free",
        "rococap/runs/lock.py",
        "_lock(fcntl.F_WRLCK))) != fcntl.F_UNLCK",
        "_lock(fcntl.F_WRLCK))) == -1",
        "runs/test_locks.py runs/test_claims.py",
    ),
    M(
        "two runs in one folder",
        "rococap/runs/lock.py",
        "            if error.errno in _HELD:\n                return False\n",
        "            if error.errno in _HELD:\n                continue\n",
        "runs/test_locks.py runs/test_claims.py",
    ),
    M(
        "a folder of something else is taken",
        LOCKS,
        "and not there & known:",
        "and not there:",
        "runs/test_locks.py runs/test_claims.py",
    ),
    M(
        "changed data goes unnoticed",
        CHANGES,
        'made_of += ["data"] if was and was["data"] != now.data(recipe) else []',
        "now.data(recipe)",
        "runs/test_claims.py",
    ),
    M(
        "changed code goes unnoticed",
        CHANGES,
        '(("code", "code"), ("conf", "conf/"))',
        '(("conf", "conf/"),)',
        "runs/test_claims.py",
    ),
    M(
        "another recipe goes on",
        CHANGES,
        "if was.get(key, missing) != now.get(key, missing)",
        "if False",
        "runs/test_claims.py",
    ),
    M(
        "an unfinished run of another recipe is kept",
        CHANGES,
        "kept = [each for each in kept if each.folder.finished or not each.recipe]",
        "kept = list(kept)",
        "runs/test_claims.py",
    ),
    M(
        "other images a step go on",
        CHANGES,
        ', "data.batch_size": batch_of_all(recipe)}',
        "}",
        "runs/test_claims.py",
    ),
    M(
        "captions of other weights are kept",
        "rococap/evaluation/shared_captions.py",
        "                if of == self.of:\n                    yield from captions.items()",
        "                yield from captions.items()",
        "evaluation/test_shared_captions.py",
    ),
    M(
        "every process encodes all",
        "rococap/data/kept/features.py",
        "[place::count]",
        "",
        "processes/test_together.py",
    ),
    M(
        "every process captions all",
        "rococap/evaluation/shared_captions.py",
        "left[processes.rank :: processes.count]",
        "left",
        "processes/test_together.py",
    ),
    M(
        "the worst epoch is the best",
        "rococap/runs/monitor.py",
        'return -1 if monitor.endswith("loss") else 1',
        'return 1 if monitor.endswith("loss") else -1',
        "runs/test_folder.py",
    ),
    M(
        "more loss is better",
        "rococap/runs/monitor.py",
        'return -1 if monitor.endswith("loss") else 1',
        "return 1",
        "runs/test_folder.py",
    ),
    M(
        "an epoch that was no number is the best",
        FOLDER,
        "-math.inf if math.isnan(values[epoch]) else sign(monitor) * values[epoch]",
        "sign(monitor) * values[epoch]",
        "runs/test_folder.py",
    ),
    M(
        "a repeated epoch has two rows",
        FOLDER,
        'if int(r["epoch"]) < epoch]',
        'if int(r["epoch"]) != -1]',
        "runs/test_folder.py",
    ),
    M("the peak of the last session", FOLDER, "max(size, known.get(kind, 0.0))", "size", "runs/test_folder.py"),
    M(
        "an epoch that was not validated repeats the last",
        "rococap/training/callbacks.py",
        'old = "val/" if self.validated != trainer.current_epoch else "train/loss_step"',
        'old = "train/loss_step"',
        "training/test_run.py -kvalidated",
    ),
    M(
        "a run that ended early trains on",
        "rococap/training/callbacks.py",
        "or self.stopped_epoch > 0",
        "or False",
        "training/test_run.py -kearly",
    ),
    M(
        "finished jobs are run again",
        SWEEPER,
        "return [job for job in jobs if not job.folder.finished]",
        "return jobs",
        "sweeps/test_sweep.py",
    ),
    M(
        "jobs cut off by another are not run again",
        SWEEPER,
        "for job in cut_off if len(jobs) > 1 else ():",
        "for job in ():",
        "sweeps/test_launchers.py",
    ),
    M(
        "jobs that did not begin are forgotten",
        SWEEPER,
        "            self.launch([job for job in jobs if job.folder not in begun])",
        "            pass",
        "sweeps/test_launchers.py",
    ),
    M(
        "two jobs have one name",
        JOBS,
        'return f"{safe[: _LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"',
        "return safe[:_LONGEST]",
        "sweeps/test_sweep.py",
    ),
    M(
        "a job in place of another one",
        JOBS,
        "return all(OmegaConf.select(one, path) == OmegaConf.select(other, path) for path in paths)",
        "return True",
        "sweeps/test_sweep.py",
    ),
    M(
        "the worst trial is the best",
        "rococap/sweeps/best.py",
        "folder = best([job.folder for job in jobs])",
        "folder = jobs[0].folder",
        "sweeps/test_search.py",
    ),
    M(
        "jobs share what one of them sets",
        COMPOSER,
        "copy.deepcopy(node) if name in touched else node",
        "node",
        "checks/test_jobs.py",
    ),
    M(
        "a dictionary replaces what it should join",
        OVERRIDES,
        "value, merge=True, force_add=adds",
        "value, merge=False, force_add=adds",
        "checks/test_jobs.py",
    ),
    M(
        "a sweep's file goes before the command line",
        OVERRIDES,
        "for override in [*params, *line]}.values())",
        "for override in [*line, *params]}.values())",
        "sweeps/test_sweep.py checks/test_command_line.py",
    ),
    M(
        "one GPU for two jobs",
        "rococap/sweeps/gpus.py",
        "lock.acquire(timeout=0)",
        "lock.is_locked",
        "sweeps/test_launchers.py -kgpu",
    ),
    M(
        "a search forgets a trial that was killed",
        "rococap/sweeps/search.py",
        "RUNNING",
        "WAITING",
        "sweeps/test_search.py -mslow",
    ),
]
