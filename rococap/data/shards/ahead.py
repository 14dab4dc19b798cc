"""Fetches the shards that will be read next, while those of now are trained on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from rococap.data.shards.fetched import fetched, in_use
from rococap.data.shards.shardlist import Shard
from rococap.types import UserError

log = logging.getLogger(__name__)

_LOOK = 30.0  # seconds between two looks at what is wanted, so that others leave it there


class Ahead:
    """A thread that fetches what is wanted, in order, one after another; it ends when all of that is here."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = shards
        self._wanted: tuple[int, ...] = ()
        self._looked = 0.0
        self._lock = threading.Lock()
        self._works = False

    def want(self, numbers: Sequence[int]) -> None:
        """Say which shards are needed from now on, the first ones first; others are no longer."""
        now = time.monotonic()
        if tuple(numbers) == self._wanted and now - self._looked < _LOOK:
            return
        with self._lock:
            self._wanted, self._looked = tuple(numbers), now
            if not self._works and numbers:
                self._works = True
                threading.Thread(target=self._work, name="shards", daemon=True).start()

    def _work(self) -> None:
        done: set[int] = set()
        while True:
            with self._lock:
                left = [number for number in self._wanted if number not in done]
                self._works = bool(left)
            if not left:
                return
            done.add(left[0])
            try:
                in_use(fetched(self.shards[left[0]], pauses=()))
            except UserError as error:  # who needs it tries again, and says it
                log.debug("not fetched ahead: %s", error)
