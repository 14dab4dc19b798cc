"""Calls in threads that nothing waits for at the end: an error elsewhere or Ctrl-C ends the program at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def background(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Start `call` in a daemon thread; the future has its result or its exception."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    return future
