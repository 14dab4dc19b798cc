import io
import logging
import re
import sys

import pytest
from rich.table import Table

from rococap.cli import LiveHandler, Terminal, printable, user_errors
from rococap.types import UserError


def test_the_log_goes_where_standard_output_goes_at_that_moment(monkeypatch, capsys):
    handler = LiveHandler(sys.stderr)
    bar = io.StringIO()
    monkeypatch.setattr(sys, "stdout", bar)  # as a progress bar does while it is shown
    handler.emit(logging.LogRecord("a", logging.INFO, "", 0, "epoch 1", None, None))
    assert bar.getvalue() == "epoch 1\n" and capsys.readouterr().err == ""


EVIL = "[red]x[/] [/] :smile: \x1b[31m\x1b]0;title\x07 \x9b2J \u202egnp.exe \r\x08 \ud800 [link=http://evil]y[/link]"
SAID = "[red]x[/] [/] :smile: \\x1b[31m\\x1b]0;title\\x07 \\x9b2J \\u202egnp.exe \\r\\x08 \\ud800 [link=http://evil]y[/link]"


def test_text_is_text_to_a_terminal():
    file = io.StringIO()
    console = Terminal(file=file, width=300, force_terminal=True, color_system="truecolor")
    table = Table(EVIL, title=EVIL, caption=EVIL)
    table.add_row(EVIL)
    console.print(EVIL)
    console.print(table)
    console.print(EVIL, EVIL, sep="\n", style="bold")
    plain = re.sub(r"\x1b\[[\d;]*m", "", file.getvalue())  # the styles that are ours
    assert plain.count(SAID) == 7 and not set("\x1b\x07\x08\x9b\u202e\r\ud800") & set(plain)
    assert printable("a\tb\nc \N{NO-BREAK SPACE}ü漢 é\u200d") == "a\tb\nc \N{NO-BREAK SPACE}ü漢 é\u200d"


def test_what_is_logged_and_what_is_refused_is_text_too(capsys):
    handler = LiveHandler()
    handler.emit(logging.LogRecord("a", logging.INFO, "", 0, "caption %s", (EVIL,), None))
    with pytest.raises(SystemExit), user_errors():
        raise UserError(f"{EVIL} is no caption.\nTake another.")
    said = capsys.readouterr()
    assert said.out == f"caption {SAID}\n" and said.err == f"error: {SAID} is no caption.\nTake another.\n"
