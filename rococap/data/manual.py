"""A dataset with the concepts alone that a person assigned."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rococap.types import Example, Source, Split


@dataclass(frozen=True)
class OnlyManual:
    """Another source, without the concepts that were found by a program."""

    source: Source

    def examples(self, split: Split) -> list[Example]:
        """See `Source`."""
        return [
            replace(example, concepts=tuple(replace(c, listed=True) for c in example.concepts if c.manual))
            for example in self.source.examples(split)
        ]

    def fingerprint(self) -> str:
        """That of the other source: images and captions are its own."""
        return self.source.fingerprint()
