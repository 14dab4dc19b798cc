"""How the twins learn: the tower stays as it is, so what it makes of each picture is computed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import track
from scene_batches import TRAIN, Model, pixels_of
from scenes import Picture, draw
from tiny_twins import Twin, side_by_side
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Dataset


class Crowds(Dataset[Picture]):
    """`count` pictures at full hardness; every other one is a crowd: five captions at the price of one picture."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Picture:
        return draw(TRAIN, index, crowd=5 if index % 2 else 1)


@dataclass
class Encoded:
    """What the tower makes of pictures, float16 [pictures, 1 + 196, width], and the captions of each."""

    features: Tensor
    captions: list[tuple[str, ...]]

    def alone(self) -> Encoded:
        """Pictures of one scene only."""
        chosen = [i for i, captions in enumerate(self.captions) if len(captions) == 1]
        return Encoded(self.features[chosen], [self.captions[i] for i in chosen])


@torch.no_grad()
def encoded(tower: Model, count: int, kept: Path | None) -> Encoded:
    """`Crowds` through the tower; read from a file, or written there, where one is named."""
    if kept is not None and kept.is_file():
        return Encoded(**torch.load(kept))
    features, captions = [], []
    loader = DataLoader(Crowds(count), 32, num_workers=1, prefetch_factor=4, collate_fn=list)
    for pictures in track(loader, "encoding"):
        features.append(tower(pixels_of(pictures)).last_hidden_state.half())
        captions += [picture.captions for picture in pictures]
    found = Encoded(torch.cat(features), captions)
    if kept is not None:
        torch.save({"features": found.features, "captions": found.captions}, kept)
    return found


def teach(twin: Twin, scenes: Encoded, epochs: int, batch: int, rate: float) -> None:
    """All captions, `epochs` times, about `batch` of them a step."""
    ids = [[twin.ids(caption) for caption in captions] for captions in scenes.captions]
    keep_unused_words(twin, ids)
    parameters = [parameter for parameter in twin.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.98))
    order = [step for _ in range(epochs) for step in steps_of(scenes, batch)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=len(order), pct_start=0.06)
    twin.model.train()
    losses: list[float] = []
    for pictures in track(order, "learning"):
        rows = side_by_side([ids[picture] for picture in pictures], twin.start())
        loss = F.cross_entropy(twin.logits(scenes.features[pictures].float(), rows), rows.targets[rows.real])
        torch.autograd.backward(loss)
        clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if len(losses) % 100 == 0:
            print(f"step {len(losses):5,} of {len(order):,}: loss {sum(losses[-100:]) / 100:.3f}", flush=True)


def steps_of(scenes: Encoded, batch: int) -> list[list[int]]:
    """Pictures of each step in a new order: crowds with crowds, so that rows are of about the same length."""
    steps = []
    for size in {len(captions) for captions in scenes.captions}:
        pictures = torch.tensor([i for i, captions in enumerate(scenes.captions) if len(captions) == size])
        steps += [part.tolist() for part in torch.split(pictures[torch.randperm(len(pictures))], batch // size)]
    return [steps[i] for i in torch.randperm(len(steps)).tolist()]


def keep_unused_words(twin: Twin, ids: list[list[Tensor]]) -> None:
    """Train what belongs to the scenes' own words only, as the tiny captioner does."""
    used = torch.zeros(len(twin.tokens), 1)
    used[torch.cat([caption for row in ids for caption in row])] = 1
    used[[twin.start(), *twin.around]] = 1
    for parameter in twin.model.parameters():
        if parameter.requires_grad and len(parameter) == len(used):
            mask = used if parameter.dim() == 2 else used[:, 0]
            parameter.register_hook(lambda gradient, mask=mask: gradient * mask)
