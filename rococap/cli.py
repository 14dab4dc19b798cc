"""What every command does with a user's mistake: the message on stderr, exit code 2, no traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rococap.types import UserError

USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells say it


@contextmanager
def user_errors() -> Iterator[None]:
    """Wrap a command: `with user_errors():`, or `@user_errors()` above its `main`.

    A UserError or Ctrl-C ends the process without a traceback; any other exception keeps its own.
    """
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
