"""A detector of concepts: any vision tower, and a head with a logit for each label."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL.Image import Image
from safetensors.torch import save_model
from torch import Tensor

from rococap.models import classifier
from rococap.models.base import Model
from rococap.models.label_loss import Loss, gold_of, label_loss
from rococap.models.loading import Loading
from rococap.models.processor import ImageSettings
from rococap.models.thresholds import Threshold, choose, kept
from rococap.models.towers import TARGETS, Tower, last_hidden, load_tower, plain_config, pooling_code
from rococap.types import Example, Labels, Said, UserError, concepts_of, listed

CONCEPTS = "concepts.json"  # beside exported weights
_BASE = """\
import torch
import transformers

{tower}

{classes}

base = Classifier(encoder, width={width}, labels={labels}, pooling={pooling!r}, heads={heads})
"""
_WHOLE = """\
{base}
from safetensors.torch import load_model

model = base
load_model(model, "{folder}/model.safetensors")"""
_EXAMPLE = """\
import json

import torch
from PIL import Image
from transformers import AutoImageProcessor

processor = AutoImageProcessor.from_pretrained("{folder}")
concepts = json.load(open("{folder}/{concepts}", encoding="utf-8"))
pixel_values = processor(Image.open("IMAGE").convert("RGB"), return_tensors="pt").pixel_values
with torch.no_grad():
    probabilities = model(pixel_values=pixel_values).sigmoid()[0].tolist()
print(";".join(c["cui"] for c, p in zip(concepts, probabilities) if p >= c["threshold"]))
"""


@dataclass(frozen=True)
class LabelProcessor:
    """Image size and labels of a detector: a label is a token, and concepts that are none have no token."""

    images: ImageSettings
    labels: Labels
    pad_token_id: int = 0

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.images.size

    def pixels(self, image: Image) -> np.ndarray:
        """An RGB image as `uint8 [3, height, width]`: resized only, since the model scales and normalises."""
        return self.images.pixels(image)

    def tokens(self, text: str, limit: int, /) -> tuple[list[int], bool]:
        """The numbers of the labels in `C0040405;C0817096`, all of them whatever the limit."""
        return [self.labels.numbers[cui] for cui in text.split(";") if cui in self.labels.numbers], False


def detector(
    encoder: str,
    pooling: Literal["mean", "attention", "cls"] = "attention",
    loss: Loss = "bce",
    heads: int = 4,
    visual_tokens: int | None = None,
    labels: Labels | None = None,
    threshold: Threshold = "global",
    loading: Loading = Loading(),
) -> Detector:
    """A vision tower with a new head, which must be trained in full.

    Args:
        encoder: a ViT, DINOv2 or 3, CLIP, BiomedCLIP, SigLIP or Swin, or a captioner that has such a tower
            (VisionEncoderDecoder), on the hub or in a directory.
        pooling: see `rococap.models.classifier.Head`.
        loss: bce, or asymmetric (Ridnik et al. 2021, arXiv:2009.14119), which lets the many easy negatives go.
        heads: of attention.
        visual_tokens: patches that the head sees, a square number: the tower's grid is averaged to it. None: all.
        labels: what it learns to detect, from the training data; None: nothing, only its images are of interest.
        threshold: how the probability is chosen from which on a concept is predicted, see `thresholds`.

    Raises:
        UserError: no such tower, or the hub cannot be reached, or its width cannot be shared out over the heads.
    """
    tower = load_tower(encoder, loading, visual_tokens=visual_tokens)
    return Detector(tower, labels or Labels((), (), 0), pooling, loss, heads, visual_tokens, threshold)


class Detector(Model):
    """A `Classifier` behind the verbs of a model. Its text of an image is a list of concepts, in the labels' order."""

    encoder = ("encoder",)
    head = rest = "head"
    targets = {"tower": TARGETS}  # noqa: RUF012  # as of every architecture
    model_class = "Classifier"
    use = "To detect the concepts of an image"
    answers = "concepts"

    def __init__(
        self,
        tower: Tower,
        labels: Labels,
        pooling: str,
        loss: Loss,
        heads: int,
        visual_tokens: int | None,
        threshold: Threshold,
    ) -> None:
        positions, width = _shape(tower)
        if width % heads:
            raise UserError(f"model.heads={heads}: the tower gives {width} values a position, which they cannot share.")
        if pooling == "cls" and positions == tower.grid[0] * tower.grid[1]:
            raise UserError("model.pooling=cls: this tower has no class token.\nTake model.pooling=attention or mean.")
        network = classifier.Classifier(tower.module, width, len(labels), pooling, heads)
        with torch.no_grad():  # at first each label is as likely as it is frequent
            network.head.bias.copy_(_log_odds(labels))
        base_code = _BASE.format(
            tower=tower.code,
            classes="\n\n".join(map(inspect.getsource, (classifier.Head, classifier.Classifier))).rstrip(),
            width=width,
            labels=len(labels),
            pooling=pooling,
            heads=heads,
        )
        new = {f"encoder.{name}" for name in tower.new}
        new |= {name for name, _ in network.named_parameters() if name.startswith("head.")}
        processor = LabelProcessor(tower.settings, labels)
        grid = tower.grid
        super().__init__(
            network, tower.settings, processor, frozenset(new), base_code, grid=grid, visual_tokens=visual_tokens
        )
        self.labels, self.pooling, self.loss, self.threshold = labels, pooling, loss, threshold
        self.unused = tuple(f"encoder.{name}" for name in tower.unused)
        self.settles = isinstance(threshold, str)
        self.register_buffer("thresholds", torch.full((len(labels),), kept(threshold)), persistent=False)
        self.thresholds: Tensor
        if self.grid is not None and self.grid != self.full_grid:
            self.opening_code = pooling_code("encoder", grid, self.grid)

    @property
    def vision_config(self) -> dict[str, Any]:
        return plain_config(self.model.encoder.config)

    def look(self, pixels: Tensor) -> Tensor:
        return last_hidden(self.model.encoder, pixels)

    def logits(self, features: Tensor) -> Tensor:
        """Of each label, float [batch, labels]."""
        logits: Tensor = self.model.head(features)
        return logits.float()

    def forward(self, features: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(features)
        return label_loss(logits, gold_of(input_ids, attention_mask, logits), self.loss).sum(), _count(logits)

    @staticmethod
    def answer(example: Example) -> str | None:
        """All its concepts, those that are no labels among them."""
        return concepts_of(example)

    def predict(
        self, features: Tensor, decoding: Mapping[str, int], prompts: Sequence[Sequence[int]] = ()
    ) -> list[Said]:
        """Concepts that are at least as probable as their threshold, and the probabilities of all."""
        rows = self.logits(features).sigmoid().detach().cpu().numpy().astype(np.float32)
        return [Said(text, row) for text, row in zip(self.texts(rows), rows, strict=True)]

    def texts(self, probabilities: np.ndarray) -> list[str]:
        """The concepts that probabilities [images, labels] reach the thresholds of."""
        chosen = probabilities >= self.thresholds.cpu().numpy()
        return [listed(self.labels.cuis[number] for number in np.flatnonzero(row)) for row in chosen]

    def settle(self, said: Sequence[Said], examples: Sequence[Example]) -> list[str]:
        """Choose the thresholds on these images, where none is given."""
        probabilities = np.stack([each.probabilities for each in said if each.probabilities is not None])
        if isinstance(self.threshold, str):
            gold = [concepts_of(example) for example in examples]
            chosen = choose(probabilities, gold, self.labels, per_class=self.threshold == "per_class")
            self.thresholds.copy_(torch.from_numpy(chosen))
        return self.texts(probabilities)

    def attend(self, features: Tensor) -> Tensor:
        """Where attention pooling looks for each label, mean over heads: float [batch, labels, patches]."""
        assert self.grid is not None and self.pooling == "attention"
        head = self.model.head
        maps: Tensor = head.attention(head.norm(features)).mean(dim=1)
        return maps[:, :, -self.grid[0] * self.grid[1] :]

    @property
    def made(self) -> tuple[str, ...]:
        chosen = self.thresholds.tolist()
        if self.threshold == "per_class":
            return (f"threshold:per_class {min(chosen):.4f}..{max(chosen):.4f}",)
        return (f"threshold:{'global ' if self.settles else ''}{chosen[0]:.4f}",)

    def facts(self) -> dict[str, Any]:
        """Labels and thresholds."""
        return {"labels": list(self.labels.cuis), "thresholds": self.thresholds.tolist()}

    def load_facts(self, facts: Mapping[str, Any]) -> None:
        """Take the thresholds back; raises UserError where the labels are others, or it knows none."""
        if "labels" not in facts:
            raise UserError("the checkpoint is of a captioner, not of a detector of concepts.\nTake this run's own.")
        if tuple(facts["labels"]) != self.labels.cuis:
            raise UserError(
                f"the checkpoint knows {len(facts['labels']):,} labels, and they are not the {len(self.labels):,} of "
                "this run (concepts.csv in its folder).\nTake this run's own, or train anew."
            )
        self.thresholds.copy_(torch.tensor(facts["thresholds"]))

    def checkpoint_activations(self) -> None:
        self.model.encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def save_network(self, folder: Path) -> None:
        save_model(self.model, str(folder / "model.safetensors"))

    def whole_code(self, folder: str) -> str:
        return _WHOLE.format(base=self.base_code, folder=folder)

    def save_settings(self, folder: Path) -> None:
        super().save_settings(folder)
        pairs = zip(self.labels.concepts, self.thresholds.tolist(), strict=True)
        content = [{"cui": concept.cui, "name": concept.name, "threshold": value} for concept, value in pairs]
        (folder / CONCEPTS).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def example_code(self, folder: str) -> str:
        return _EXAMPLE.format(folder=folder, concepts=CONCEPTS)


def _count(logits: Tensor) -> Tensor:
    return torch.tensor(logits.numel(), device=logits.device)


def _log_odds(labels: Labels) -> Tensor:
    share = (torch.tensor(labels.counts, dtype=torch.float32) + 0.5) / (labels.images + 1)
    return share.logit()


def _shape(tower: Tower) -> tuple[int, int]:
    """Positions that a tower gives, and values of each."""
    with torch.no_grad():
        pixels = torch.zeros(1, 3, *tower.settings.size, dtype=next(tower.module.parameters()).dtype)
        seen = last_hidden(tower.module, pixels)
    return seen.shape[1], seen.shape[2]
