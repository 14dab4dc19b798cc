"""A process that has imported what the project's commands import, and forks one for each command: seconds less each.

What is forked is a process like any other: it has a folder, an environment, words, signals and an exit code of its own,
and nothing is left of it when it is killed. Only the order of its sets is that of its siblings.
"""

import atexit
import gc
import importlib
import io
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import types
import weakref
from pathlib import Path

LIGHT = ["hydra.main", "hydra.core.plugins", "omegaconf", "rich.progress", "rich.table", "numpy", "filelock", "jinja2"]
HEAVY = [
    *LIGHT,
    "torch",
    "pytorch_lightning",
    "transformers.models.vision_encoder_decoder.modeling_vision_encoder_decoder",
]
HEAVY += ["transformers.models.vit.modeling_vit", "transformers.models.gpt2.modeling_gpt2", "transformers.generation"]
HEAVY += ["peft", "wandb", "wandb.sdk.launch", "torchmetrics", "scipy.stats", "plotly.graph_objects", "PIL.Image"]
KINDS = {"light": LIGHT, "heavy": HEAVY}


class Forked:
    """A command that a server runs, to be used as a subprocess.Popen with pipes of text."""

    def __init__(self, address, words, cwd, environment):
        self.args, self.returncode = [sys.executable, *words], None
        out, errors = os.pipe(), os.pipe()
        self.stdout, self.stderr = (io.open(pipe[0], encoding="utf-8") for pipe in (out, errors))  # noqa: SIM115, UP020
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(address)
        socket.send_fds(self._line, [b"."], [out[1], errors[1]])
        for pipe in (out, errors):
            os.close(pipe[1])
        self._said = self._line.makefile("rb")
        request = {"words": words, "cwd": str(cwd), "environment": environment}
        self._line.sendall(json.dumps(request).encode() + b"\n")
        self.pid = int(self._said.readline())

    def wait(self, timeout=None):
        """Wait for its end; gives the exit code, or minus the signal that ended it."""
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = os.waitstatus_to_exitcode(int(self._said.readline()))
            self._said.close()
            self._line.close()
        return self.returncode

    def poll(self):
        """The exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout=None):
        """Read what it says until it ends."""
        end = None if timeout is None else time.monotonic() + timeout
        said = {}
        pipes = {"out": self.stdout, "errors": self.stderr}
        readers = [
            threading.Thread(target=lambda name=name, pipe=pipe: said.update({name: pipe.read()}), daemon=True)
            for name, pipe in pipes.items()
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if end is None else max(0, end - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(None if end is None else max(0, end - time.monotonic()))
        for pipe in pipes.values():
            pipe.close()
        return said["out"], said["errors"]

    def send_signal(self, number):
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def begin(kind, folder):
    """Start a server, which imports nothing before its first command; it ends when the process that began it does."""
    address = str(Path(folder) / kind)
    words = [sys.executable, __file__, kind, address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with Path(f"{address}.log").open("w") as log:
        process = subprocess.Popen(words, **pipes, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.stdout.readline() == b"ready\n"
    return process


def serve(kind, address):
    """Fork for each command that is asked for; returns the command, in its process, or None at the end."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(16)
    print("ready", flush=True)
    with selectors.DefaultSelector() as waiting:
        waiting.register(listening, selectors.EVENT_READ)
        waiting.register(sys.stdin, selectors.EVENT_READ)  # closed where the process ends that began this one
        while True:
            for key, _ in waiting.select():
                if key.fileobj is sys.stdin:
                    return None
                if key.fileobj is listening:
                    line, _ = listening.accept()
                    _, (out, errors), _, _ = socket.recv_fds(line, 1, 2)
                    with line.makefile("rb") as said:
                        request = json.loads(said.readline())
                    for name in KINDS[kind]:
                        importlib.import_module(name)
                    gc.freeze()
                    if not (pid := os.fork()):
                        line.close()
                        listening.close()
                        become(out, errors)
                        return request
                    os.close(out)
                    os.close(errors)
                    line.sendall(b"%d\n" % pid)
                    waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, line))
                else:
                    pid, line = key.data
                    waiting.unregister(key.fd)
                    os.close(key.fd)
                    line.sendall(b"%d\n" % os.waitpid(pid, 0)[1])
                    line.close()


def become(out, errors):
    """Be a process of its own: nothing of the server's stays open, and Ctrl-C and SIGTERM do what they do."""
    quiet = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((quiet, out, errors)):
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    weakref.finalize._registry.clear()  # temporary folders that packages made when they were imported are the server's
    if "wandb" in sys.modules:  # which removes one at exit by itself
        atexit.unregister(sys.modules["wandb.sdk.data_types._private"].MEDIA_TMP.cleanup)


def run(request):
    """Run a file as `python FILE WORDS` does."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    file, sys.argv = os.path.abspath(request["words"][0]), request["words"]
    sys.path[0] = str(Path(file).resolve().parent)
    main = types.ModuleType("__main__")
    main.__file__, main.__builtins__ = file, __builtins__
    sys.modules["__main__"] = main
    exec(compile(Path(file).read_bytes(), file, "exec"), main.__dict__)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a terminal's Ctrl-C tells all of its processes is for them
    if (request := serve(*sys.argv[1:])) is not None:
        run(request)
