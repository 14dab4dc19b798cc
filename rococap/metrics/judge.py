"""A language model as judge: it is asked how well each caption agrees with its reference, by a number."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from urllib.parse import urlsplit

import numpy as np

from rococap.data.kept.answers import Answers
from rococap.metrics.background import background
from rococap.metrics.base import FloatArray, IntArray, MeanMetric, Unscored, with_counts
from rococap.metrics.chat import Chat, ChatError
from rococap.metrics.outside import Pair
from rococap.metrics.text import AsWritten, Texts, sendable
from rococap.types import UserError

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"(?:\D*[^\d.-])?(\d+(?:\.\d+)?)(?:\s*/\s*(\d+))?\.?", re.ASCII)
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)  # one that was cut off is no answer
_SAID_EVERY = 30.0  # seconds
_HOW_TO_SET = """\
Say which: metrics.judge.url=https://HOST/v1 metrics.judge.model=NAME; any server that speaks OpenAI's chat completions
will do, one of your own too. Captions and references are sent there."""


class Judge(MeanMetric):
    """What a model answers, divided by the highest number; of several references the best. Answers are kept.

    Args:
        url: what stands before `/chat/completions`.
        model: the name that the server knows it by.
        prompt: with `{reference}` and `{caption}`; asks for a number from 0 to `highest`.
        highest: that the prompt asks for.
        key_variable: the environment variable that holds the key of the address; None where it wants none.
        max_tokens: of an answer.
        permutations: how many orders of blind captions are judged too, each as dear as the true one; 20 at most.
        workers: questions at once.
        timeout: seconds for an answer.
        tries: for a question, where the server is busy, fails or does not answer in time.
    """

    names = ("judge",)
    tokenizer = AsWritten()

    def __init__(
        self,
        url: str | None,
        model: str | None,
        prompt: str,
        highest: float = 10,
        key_variable: str | None = "OPENAI_API_KEY",
        max_tokens: int = 1024,
        permutations: int = 1,
        workers: int = 4,
        timeout: float = 120,
        tries: int = 5,
    ) -> None:
        self.model, self.prompt, self.highest, self.max_tokens = model, prompt, highest, max_tokens
        self.url, self.key_variable, self.permutations, self.workers = url, key_variable, permutations, workers
        self.timeout, self.tries = timeout, tries
        self._used: dict[str, str] = {}  # of the last statistics: each model that answered, and its dates

    def check(self) -> None:
        """Raise UserError unless address, model, prompt and key are there; nothing is asked yet."""
        if not self.url or not self.model:
            raise UserError(f"metrics: judge needs an address and a model.\n{_HOW_TO_SET}")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"metrics.judge.url={self.url} is no address of the web.\n{_HOW_TO_SET}")
        if parts.username or parts.password or parts.query:
            raise UserError(
                "metrics.judge.url holds more than an address, and it is kept in files.\n"
                "Put the key into an environment variable, and name that: metrics.judge.key_variable=NAME"
            )
        if "{caption}" not in self.prompt or "{reference}" not in self.prompt:
            raise UserError("metrics.judge.prompt has no place for {reference} or for {caption}: write both into it.")
        self._key()

    def settings(self, samples: int) -> tuple[str, ...]:
        """Model, by which name it answered, digest of the prompt and of how it is asked, and dates of the answers."""
        asked = hashlib.sha256(f"{self.prompt}\0{self.highest}\0{self.max_tokens}".encode()).hexdigest()[:8]
        dates = sorted(date for each in self._used.values() for date in each.split())
        by = [f"answered_by:{'+'.join(sorted(self._used))}"] if set(self._used) - {self.model} else []
        when = [f"judged:{dates[0]}..{dates[-1]}" if dates[0] < dates[-1] else f"judged:{dates[0]}"] if dates else []
        return (f"model:{self.model}", *by, f"prompt_sha256:{asked}", f"blind:{self.permutations}", *when)

    def statistics(self, texts: Texts, orders: IntArray) -> FloatArray:
        """`[1 + permutations, samples, 2]`; each different pair is asked once, and never again. Raises Unscored."""
        self.check()
        orders = orders[: 1 + self.permutations]
        references, groups = list(chain.from_iterable(texts.references)), texts.groups
        wanted = [
            (references[place], texts.predictions[caption])
            for order in orders
            for place, caption in enumerate(order[groups])
        ]
        scores, lost = self._judged(list(dict.fromkeys(wanted)))
        if lost:
            rows = {int(groups[place % len(groups)]) for place, pair in enumerate(wanted) if pair in lost}
            raise Unscored("judge", sorted(rows), next(iter(lost.values())))
        found = np.array([scores[pair] for pair in wanted]).reshape(len(orders), len(references))
        return with_counts(np.maximum.reduceat(found, np.searchsorted(groups, np.arange(len(texts))), axis=1))

    def _judged(self, pairs: Sequence[Pair]) -> tuple[dict[Pair, float], dict[Pair, str]]:
        """Scores; and what was answered to those that have none."""
        kept = Answers("judge", f"{self.url}\0{self.model}\0{self.max_tokens}")
        questions = {pair: self._question(pair) for pair in pairs}
        scores, lost = dict[Pair, float](), dict[Pair, str]()
        for pair, (answer, by, date) in self._answers(questions, kept):
            try:
                scores[pair] = self.number(answer)
            except ValueError as error:
                lost[pair] = str(error)
                continue
            kept.keep(questions[pair], answer, by, date)
            self._used[by] = " ".join(sorted({*self._used.get(by, "").split(), date}))
        return scores, lost

    def _answers(self, questions: dict[Pair, str], kept: Answers) -> Iterator[tuple[Pair, tuple[str, str, str]]]:
        """Answer, who gave it, and the date: those that are kept first."""
        yield from ((pair, kept.known[question]) for pair, question in questions.items() if question in kept.known)
        left = [pair for pair, question in questions.items() if question not in kept.known]
        if not left:
            return
        chat = Chat(str(self.url), str(self.model), self._key(), self.max_tokens, self.timeout, self.tries)
        log.info("judge: %s questions to %s", f"{len(left):,}", urlsplit(self.url).hostname)
        told, waiting = time.monotonic(), iter(left)
        running = deque((pair, background(chat.ask, questions[pair])) for pair in islice(waiting, self.workers))
        try:
            for done in range(1, len(left) + 1):
                pair, future = running.popleft()
                yield pair, (*future.result(), time.strftime("%Y-%m-%d", time.gmtime()))
                running.extend((each, background(chat.ask, questions[each])) for each in islice(waiting, 1))
                if time.monotonic() - told > _SAID_EVERY:
                    told = time.monotonic()
                    log.info("judge: %s of %s answers", f"{done:,}", f"{len(left):,}")
        except ChatError as error:
            raise UserError(f"{error}\nWhat was answered is kept: the same command goes on.") from error
        finally:
            chat.stop()

    def _question(self, pair: Pair) -> str:
        """The prompt with both texts, in one pass: a caption may itself hold `{reference}`."""
        reference, caption = map(sendable, pair)
        return re.sub(r"\{(reference|caption)\}", lambda m: reference if m[1] == "reference" else caption, self.prompt)

    def number(self, answer: str) -> float:
        """The last line of an answer as a share of the highest. Raises ValueError where it is no such number."""
        lines = _THOUGHT.sub("", answer).strip().splitlines()
        found = _NUMBER.fullmatch(lines[-1].strip().strip("*` ")) if lines else None
        if found is None or float(found[1]) > self.highest or float(found[2] or self.highest) != self.highest:
            said = repr(answer.strip()[:80]) if answer.strip() else "nothing"
            raise ValueError(f"it answered {said}, which is no number of 0 to {self.highest:g}")
        return float(found[1]) / self.highest

    def _key(self) -> str | None:
        if self.key_variable is None:
            return None
        if not (key := os.environ.get(self.key_variable, "").strip()):
            raise UserError(
                f"metrics: judge finds no key in the environment variable {self.key_variable}.\n"
                "Set it, name another (metrics.judge.key_variable=NAME), or say that none is wanted (=null)."
            )
        if not key.isascii() or not key.isprintable():  # refused here, since the library's error would show it
            raise UserError(f"metrics: judge: what the variable {self.key_variable} holds is no key of one line.")
        return key
