"""A recipe, read once from its config: typed, and all that comes after the page that builds a run asks it alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from rococap.checks.config import OF_RECIPE
from rococap.checks.signatures import signature
from rococap.config import build
from rococap.data.manual import OnlyManual
from rococap.metrics.base import Metric
from rococap.models.base import Model
from rococap.models.loading import Loading
from rococap.models.thresholds import Threshold
from rococap.recipe.labels import FILE, labels_of, read_labels
from rococap.recipe.precision import Arithmetic, Device, Precision, device_type
from rococap.runs.batches import batch_of_each
from rococap.runs.folder import RunFolder
from rococap.runs.monitor import monitored
from rococap.runs.place import with_root
from rococap.types import Labels, Source


@dataclass(frozen=True)
class Decoding:
    """How captions are generated: greedily where `num_beams` is 1, `batch_size` images at a time."""

    max_new_tokens: int
    num_beams: int
    batch_size: int

    @property
    def options(self) -> dict[str, int]:
        """Arguments of `Captioner.generate`; how many images go together changes no caption."""
        return {"max_new_tokens": self.max_new_tokens, "num_beams": self.num_beams}


@dataclass(frozen=True)
class DataSettings:
    """What of a dataset is used, and in which batches of each process; see `CaptionData`.

    A batch_size of None is to be found. What has a default is missing in runs from before it could be set.
    """

    fraction: float
    subset_seed: int
    batch_size: int | None
    length_pool: int
    workers: int | None
    val_images: int | None
    max_tokens: int
    drop_leaks: bool
    overfit: float
    stream: bool | str = False
    window: int = 8
    allow_missing: bool = False


@dataclass(frozen=True)
class Concepts:
    """What is detected, see `conf/train.yaml`; by default nothing, as in runs from before that."""

    kind: Literal["all", "manual"] = "all"
    min_count: int = 1
    threshold: Threshold = "global"
    weight: float = 0.0
    run: str | None = None
    neighbours: int = 10

    @property
    def folder(self) -> Path | None:
        """Of the detector's run whose concepts stand before captions."""
        return None if self.run is None else Path(self.run).expanduser()


@dataclass(frozen=True)
class Recipe:
    """What a composed config asks for.

    Attributes:
        accelerator: cpu, gpu, cuda, mps or auto.
        metrics: by the names that they have in the recipe.
        monitor: what the best checkpoint has the best value of, such as val/cider.
        features: auto, fp16, fp32 or off: whether what a frozen tower makes of images is kept, and in which precision.
        baselines: whether test scores are held against those of other systems.
        augment: from `uint8 [batch, 3, height, width]` to the same, of training images; None leaves them as they are.
        build_network: the architecture with the weights that it starts from, kept as is said, before it is adapted; of
            a detector from its labels.
        concepts: which of them are labels, and from when on they are predicted.
        folder: of the run, where its labels are kept; None where there is none.
        adapt: makes of it what trains.
        settings: the whole recipe, resolved, in plain values.
    """

    name: str
    seed: int
    accelerator: str
    precision: Precision
    decoding: Decoding
    data: DataSettings
    metrics: Mapping[str, Metric]
    monitor: str
    features: Literal["auto", "fp16", "fp32", "off"]
    baselines: bool
    augment: Callable[[Tensor], Tensor] | None
    concepts: Concepts
    build_network: Callable[..., Model]
    adapt: Callable[[Model], None]
    build_source: Callable[[], Source]
    settings: Mapping[str, Any]
    folder: Path | None = None

    @staticmethod
    def of(cfg: DictConfig) -> Recipe:
        """Read a config that was found to be right; nothing large is loaded yet.

        Raises:
            UserError: a part that it names is not there (any more), or cannot be built.
        """
        settings = plain(cfg)
        apart = {"source", "root", "path", "columns", "batch_size", "global_batch_size"}
        data = {key: value for key, value in settings["data"].items() if key not in apart}
        return Recipe(
            name=str(cfg.name),
            seed=cfg.seed,
            accelerator=cfg.trainer.accelerator,
            precision=build(cfg.precision),
            decoding=Decoding(**settings["decoding"]),
            data=DataSettings(
                **data, batch_size=batch_of_each(cfg), overfit=settings["trainer"].get("overfit_batches") or 0
            ),
            metrics=build_metrics(cfg),
            monitor=monitored(cfg.monitor, cfg.metrics),
            features=cfg.features,
            baselines=cfg.baselines,
            augment=build(cfg.augment),
            concepts=Concepts(**settings.get("concepts", {})),
            build_network=build(network_node(cfg.model), _partial_=True),
            adapt=build(cfg.lora),
            build_source=lambda: build(cfg.data.source),
            settings=settings,
        )

    @staticmethod
    def of_run(folder: RunFolder, root: str | None = None) -> Recipe:
        """That of a run; raises UserError as `of` and `with_root`, and where the folder is no run's, or not trusted.

        Args:
            root: where its data lies now; None: where it lay.
        """
        return replace(Recipe.of(with_root(folder.recipe, root)), folder=folder.path)

    @cached_property
    def source(self) -> Source:
        """The dataset; raises UserError where it is missing."""
        source = self.build_source()
        return source if self.concepts.kind == "all" else OnlyManual(source)

    @cached_property
    def labels(self) -> Labels:
        """What the run's folder keeps, or else those of the training split; raises UserError where it has none."""
        file = self.folder and self.folder / FILE
        return read_labels(file) if file and file.is_file() else labels_of(self.source, self.concepts.min_count)

    @property
    def detects(self) -> bool:
        """Whether the model is made for labels."""
        return "labels" in signature(self.settings["model"]["_target_"]).parameters

    @property
    def has_labels(self) -> bool:
        """Whether it is, or learns labels beside captions."""
        return self.detects or self.concepts.weight > 0

    @property
    def prompts(self) -> Literal["gold", "predicted"] | None:
        """Which concepts stand before each caption, if any."""
        found: Literal["gold", "predicted"] | None = self.settings["model"].get("concepts")
        return found

    def network(self, loading: Loading) -> Model:
        """The architecture with the weights that it starts from, before it is adapted."""
        known = {"labels": self.labels, "threshold": self.concepts.threshold} if self.detects else {}
        return self.build_network(loading=loading, **known)

    @cached_property
    def device(self) -> Device:
        """Where it runs on this machine; raises UserError where it asks for what is not there."""
        return device_type(self.accelerator)

    @property
    def arithmetic(self) -> Arithmetic:
        """What matrix products are computed in, on this machine; raises UserError where it has no such arithmetic."""
        return self.precision.on(self.device)

    @property
    def adapts(self) -> tuple[str, ...]:
        """Names of layers that LoRA is to be put on in the decoder, and nowhere else."""
        lora = self.settings["lora"]
        return tuple(lora.get("target_modules") or ()) if lora.get("parts") == ["decoder"] else ()

    @property
    def chosen_examples(self) -> dict[str, Any]:
        """The settings that say which examples are used, and how much of their captions."""
        kept = ("fraction", "subset_seed", "drop_leaks", "val_images", "max_tokens")
        chosen = {name: value for name, value in asdict(self.data).items() if name in kept}
        return chosen if self.concepts.kind == "all" else {**chosen, "kind": self.concepts.kind}


def network_node(model: DictConfig) -> dict[str, Any]:
    """What builds the architecture, without what the recipe does with it."""
    node = plain(model)
    return {key: value for key, value in node.items() if key not in OF_RECIPE["model"]}


def build_metrics(cfg: DictConfig) -> dict[str, Metric]:
    """The metrics that a config names, by the names that they have there."""
    metrics: dict[str, Metric] = build(cfg.metrics)
    return metrics


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A config resolved, as plain values."""
    values = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
