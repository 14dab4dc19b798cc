"""Questions to a server that speaks OpenAI's chat completions. Nothing of the key is logged, kept or shown."""

from __future__ import annotations

import json
import random
import threading
import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException
from typing import Any

_BUSY = {408, 409, 425, 429, 500, 502, 503, 504, 529}  # another try may do
_LONGEST = 60.0  # seconds between two tries
_FIRST = 0.5


class ChatError(Exception):
    """The address answers nothing, or refuses; a line for the user."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key to another host."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


class Chat:
    """A model at an address.

    Args:
        url: what stands before `/chat/completions`.
        key: sent as a bearer token; None: none is.
    """

    def __init__(self, url: str, model: str, key: str | None, max_tokens: int, timeout: float, tries: int) -> None:
        self.url, self.model, self.max_tokens = f"{url.rstrip('/')}/chat/completions", model, max_tokens
        self.timeout, self.tries, self._key = timeout, tries, key
        self._open = urllib.request.build_opener(_NoRedirect).open
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let those that wait for another try wait no longer: the others' answers are not wanted any more."""
        self._stopped.set()

    def ask(self, question: str) -> tuple[str, str]:
        """The answer, and the model's name as the server says it. Raises ChatError after some tries."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": self.max_tokens,
        }
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
        }
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers, method="POST")
        for number in range(1, self.tries + 1):
            wait = min(_LONGEST, _FIRST * 2**number * random.uniform(0.75, 1.25))
            try:
                with self._open(request, timeout=self.timeout) as response:
                    return self._read(response.read())
            except urllib.error.HTTPError as error:
                why, wait = self._refusal(error), _asked_to_wait(error.headers, wait)
            except (OSError, HTTPException) as error:  # no connection, none in time, cut off
                why = f"{self.url} does not answer ({getattr(error, 'reason', error) or type(error).__name__})"
            if number < self.tries and self._stopped.wait(wait):
                break
        raise ChatError(f"metrics: judge: {self._hidden(why)}; {self.tries} tries.")

    def _read(self, content: bytes) -> tuple[str, str]:
        try:
            answer = json.loads(content)
            return str(answer["choices"][0]["message"]["content"] or ""), str(answer.get("model") or self.model)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            said = content[:100].decode(errors="replace")
            raise ChatError(
                self._hidden(f"metrics: judge: {self.url} answers no chat completion: {said!r}.")
            ) from error

    def _refusal(self, error: urllib.error.HTTPError) -> str:
        """Why this try has failed; raises ChatError where another would too."""
        if error.code in _BUSY:
            return f"{self.url} answers {error.code} {error.reason}"
        if error.code in (401, 403):  # its text may hold a part of the key
            raise ChatError(f"metrics: judge: {self.url} refuses the key ({error.code} {error.reason}).")
        said = " ".join(error.read()[:300].decode(errors="replace").split())
        raise ChatError(self._hidden(f"metrics: judge: {self.url} answers {error.code} {error.reason}: {said}"))

    def _hidden(self, text: str) -> str:
        return text.replace(self._key, "(key)") if self._key else text


def _asked_to_wait(headers: Message, otherwise: float) -> float:
    """Seconds, as the server asks for them."""
    try:
        return min(_LONGEST, max(0.0, float(headers.get("Retry-After", ""))))
    except ValueError:
        return otherwise
