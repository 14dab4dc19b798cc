"""Fetches the shards that will be read next, while those of now are trained on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from rococap.data.shards.fetched import fetched, in_use
from rococap.data.shards.shardlist import Shard
from rococap.types import UserError

log = logging.getLogger(__name__)

_LOOK = 30.0  # seconds between two looks at what is wanted, so that others leave it there


class Ahead:
    """A thread that fetches what is wanted, in order, one after another."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = shards
        self._wanted: list[int] = []
        self._done: set[int] = set()  # of these
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def want(self, numbers: Sequence[int]) -> None:
        """Say which shards are needed from now on, the first ones first; others are no longer."""
        if list(numbers) == self._wanted:
            return
        with self._changed:
            self._wanted = list(numbers)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="shards", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._any_new, timeout=_LOOK)
                wanted = self._wanted
            self._done &= set(wanted)
            for number in wanted:
                self._have(number)
                self._done.add(number)
                if self._wanted is not wanted:
                    break

    def _any_new(self) -> bool:
        return not self._done >= set(self._wanted)

    def _have(self, number: int) -> None:
        try:
            in_use(fetched(self.shards[number]))
        except UserError as error:  # who needs it tries again, and says it
            log.debug("not fetched ahead: %s", error)
