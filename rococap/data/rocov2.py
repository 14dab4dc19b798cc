"""ROCOv2 as Zenodo gives it, and ImageCLEF's editions of it: packed or unpacked, whatever they call their files.

Rückert et al. (2024): ROCOv2: Radiology Objects in COntext Version 2, an Updated Multimodal Image Dataset.
Scientific Data 11. https://doi.org/10.1038/s41597-024-03496-6
"""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path

from rococap.data.complete import Missing
from rococap.data.concepts import cuis
from rococap.data.ids import ByName, bare_id, by_number
from rococap.data.layout import Images, Layout
from rococap.data.splits import Loaded, SplitSource
from rococap.data.tables import read_table
from rococap.types import Concept, Example, Split, UserError

log = logging.getLogger(__name__)

HOW_TO_GET = """\
ROCOv2 is not there: {root} {problem}.
  from Zenodo: put the files of https://zenodo.org/records/10821435 there as they are, unpacked or not
    (train_images.zip, valid_images.zip, test_images.zip, *_captions.csv, *_concepts.csv, *_concepts_manual.csv,
    cui_mapping.csv, license_information.csv); elsewhere: data.root=DIR, or --root DIR beside --run
  from Hugging Face: data=rocov2_hub reads the mirror eltorio/ROCOv2-radiology
  Rückert et al. 2024, Scientific Data, "ROCOv2: Radiology Objects in COntext Version 2"; each image CC BY or CC BY-NC
To see the program run without it: python train.py experiment=demo"""


class RocoV2(SplitSource):
    """The splits under a folder. Tables and listings are read on first use, each once; pixels never.

    An id without image, an image without id, an empty caption, a line with too few or too many fields: left out.
    An id listed twice keeps its first line. All are counted in the log.
    """

    @cached_property
    def _layout(self) -> Layout:
        if self.root is None or not self.root.is_dir():
            raise UserError(HOW_TO_GET.format(root=self.root or "data.root", problem="is no folder"))
        layout = Layout.of(self.root)
        if not (layout.tables or layout.zips or layout.folders):
            raise UserError(HOW_TO_GET.format(root=self.root, problem="is empty"))
        return layout

    def has(self, split: Split) -> bool:
        layout = self._layout
        return layout.table(split, "captions") is not None or (split == "test" and bool(layout.images(split).found))

    def load(self, split: Split) -> Loaded:
        """A split in its table's order. Without a table, as ImageCLEF gives test images: by number, without captions.

        Raises:
            UserError: the folder, a table, a column or all images of a split are missing, or a zip is damaged.
        """
        table = self._layout.table(split, "captions")
        if table is None and split != "test":
            raise UserError(f"{self.root} has no captions of {split}: no {split}_captions.csv.{self._nested()}")
        images = self._layout.images(split)
        if not images.found:
            raise UserError(
                f"{self.root} has no images of {split}: neither {split}_images.zip nor a folder named {split} that "
                f"holds any.{self._nested()}"
            )
        if table is None:
            count = f"{len(images.found):,}"
            log.warning("test: no captions file; its %s images can be captioned, not scored", count)
            captions: dict[str, str] = dict.fromkeys(sorted(images.found, key=by_number), "")
            problems: dict[str, list[str]] = {}
            bad_lines = 0
        else:
            captions, problems, bad_lines = _captions(table)
            if split != "test" and not any(captions.values()):
                raise UserError(f"{table} holds no caption in its {len(captions):,} lines.\nDownload it again.")
        return self._join(split, captions, images, problems | images.odd, bad_lines)

    def _join(
        self, split: Split, captions: dict[str, str], images: Images, problems: dict[str, list[str]], bad_lines: int
    ) -> Loaded:
        found = ByName(images.found).match(captions)
        problems["ids have no image and are left out"] = [name for name in captions if name not in found]
        if not images.shared:
            listed = set(found.values())
            unlisted = [key for key in images.found if key not in listed]
            problems["images have no id in the captions file and are left out"] = unlisted
        if not found:
            raise UserError(
                f"None of the {len(captions):,} ids of {split} under {self.root} has an image: the first id is "
                f"{next(iter(captions), 'missing')}, the first image {next(iter(images.found))}."
            )
        if captioned := any(captions.values()):
            problems["captions are empty; these images are left out"] = [name for name in found if not captions[name]]
        concepts = self._concepts(split)
        kept = {name: key for name, key in found.items() if captions[name] or not captioned}
        examples = [
            Example(
                id=name,
                image=images.found[key],
                captions=(captions[name],) if captions[name] else (),
                concepts=concepts.get(name, ()),
                attribution=", ".join(filter(None, self._articles.get(name, []))),
                group=next(iter(self._articles.get(name, [])[1:2]), ""),
            )
            for name, key in kept.items()
        ]
        missing = (
            Missing(len(captions) - len(found), len(captions)),
            Missing(bad_lines, bad_lines + len(captions), "lines cannot be read"),
        )
        return Loaded(examples, {problem: names for problem, names in problems.items() if names}, missing)

    def _concepts(self, split: Split) -> ByName[tuple[Concept, ...]]:
        listed, by_hand = self._cuis(split, manual=False), self._cuis(split, manual=True)
        only = not listed.entries  # this copy has no other list
        concepts = {}
        for name in listed.entries | by_hand.entries:
            chosen = by_hand.get(name, [])
            of_image = listed.get(name, [])
            concepts[name] = tuple(
                Concept(cui, self._names.get(cui, ""), cui in chosen, only or cui in of_image)
                for cui in dict.fromkeys([*of_image, *chosen])
            )
        return ByName(concepts)

    def _cuis(self, split: Split, *, manual: bool) -> ByName[list[str]]:
        path = self._layout.table(split, "concepts", manual=manual)
        rows = read_table(path, "ID", "CUIs").rows if path else []
        return ByName({bare_id(name): cuis([listed]) for name, listed in rows})

    @cached_property
    def _names(self) -> dict[str, str]:
        path = self._layout.named("cui_mapping")
        rows = read_table(path, "CUI", "Canonical name").rows if path else []
        return {cui: name for cui, name in rows}

    @cached_property
    def _articles(self) -> ByName[list[str]]:
        """Attribution, PMCID and link of the article that an image is from."""
        path = self._layout.named("license_information")
        rows = read_table(path, "ID", "Attribution", "PMCID", "Link").rows if path else []
        return ByName({bare_id(name): facts for name, *facts in rows})

    def _nested(self) -> str:
        nested = next((folder for folder in self._layout.folders if any(folder.glob("*caption*.csv"))), None)
        return (
            f"\nThere are some in {nested}: data.root={nested}" if nested else "\nPut it there, or give data.root=DIR."
        )


def _captions(path: Path) -> tuple[dict[str, str], dict[str, list[str]], int]:
    """Id -> caption, empty ones included; what is wrong with the table; and how many lines cannot be read."""
    table = read_table(path, "ID", "Caption")
    captions: dict[str, str] = {}
    repeated = []
    for name, caption in table.rows:
        if (name := bare_id(name)) in captions:
            repeated.append(name)
        else:
            captions[name] = caption
    problems = {
        f"lines of {path.name} have too few or too many fields and are left out": table.bad_lines,
        "lines repeat an id; the first of each is kept": repeated,
    }
    return captions, problems, len(table.bad_lines)
