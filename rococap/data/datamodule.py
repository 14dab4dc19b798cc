"""From a dataset to batches: subsets, decoded images, tokens, loaders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from rococap.data.complete import Missing, require
from rococap.data.dataset import CaptionDataset, Loader
from rococap.data.doctor.leaks import without_leaks
from rococap.data.kept import features, keys
from rococap.data.kept.choice import pays
from rococap.data.kept.features import Encoder, Features
from rococap.data.kept.folders import NoSpace, cache_folder
from rococap.data.kept.images import Store, open_images
from rococap.data.kept.rows import cores
from rococap.data.manual import OnlyManual
from rococap.data.sampler import LengthSampler
from rococap.data.shard_sampler import ShardSampler
from rococap.data.shards.ahead import Ahead
from rococap.data.splits import SplitSource
from rococap.data.streamed import Streamed, too_large
from rococap.data.subset import fixed_sample, subset
from rococap.processes.group import group
from rococap.types import Answer, Batch, Beside, Example, Processor, Source, Split, UserError, caption_of

log = logging.getLogger(__name__)


class CaptionData(LightningDataModule):
    """A dataset's splits as a run uses them; each is prepared when it is first needed.

    Args:
        fraction: of the training split, see `subset`.
        subset_seed: which part of `train`, and which images of `valid`.
        batch_size: of each process; None where nothing is trained.
        length_pool: training batches within which captions are sorted by length, see `LengthSampler`.
        seed: order of the training batches.
        workers: processes that load batches; null chooses: none on small machines, since prepared images are
            memory-mapped and a batch takes less time to read than to send between processes.
        val_images: how many of `valid` are used, null for all.
        encoder: the frozen tower whose features are kept; None where batches hold pixels.
        max_tokens: of a caption, end token included; what is longer is cut, and counted in the log.
        answer: from an example to the text that is trained on.
        beside: from an example, and how many tokens its answer has, to what else is known of it.
        overfit: the first so many batches, or below 1 such a share of the images, are trained and validated on; 0: all.
        drop_leaks: leave out of `train`, before its fraction is taken, what also stands in `valid` or `test`.
        allow_missing: use a split of which much is not there.
        stream: decode training images anew in each epoch, and keep neither them nor their features; auto: where the
            disk is too small for them.
        window: shards that are shuffled together, of those that are fetched while they are streamed.

    Attributes:
        missing: what is not there of each split that was prepared.
    """

    def __init__(
        self,
        source: Source,
        processor: Processor,
        *,
        fraction: float,
        subset_seed: int,
        batch_size: int | None,
        length_pool: int,
        workers: int | None,
        val_images: int | None,
        max_tokens: int,
        seed: int,
        encoder: Encoder | None = None,
        answer: Answer = caption_of,
        beside: Callable[[Example, int], Beside] | None = None,
        drop_leaks: bool = False,
        overfit: float = 0,
        allow_missing: bool = False,
        stream: bool | str = False,
        window: int = 8,
    ) -> None:
        super().__init__()
        self.source, self.processor, self.encoder = source, processor, encoder
        self.answer, self.beside = answer, beside
        self.fraction, self.subset_seed, self.seed = fraction, subset_seed, seed
        self.batch_size, self.val_images, self.max_tokens = batch_size, val_images, max_tokens
        self.length_pool = length_pool
        self.drop_leaks, self.overfit = drop_leaks, overfit
        self.stream, self.window = stream, window
        self.validates_on: Split = "train" if overfit else "valid"
        self.workers = workers
        self.fingerprint = source.fingerprint()
        self.allow_missing = allow_missing
        self.missing: dict[Split, list[Missing]] = {}
        self._datasets: dict[Split, CaptionDataset] = {}
        self._chose: bool | None = None
        self._ahead: Ahead | None = None
        self._begun_on: int | None = None  # machines
        self._from = (0, 0)  # where training goes on: the epoch, and batches of it that are done

    def go_on(self, epoch: int, batches: int) -> None:
        """Begin training in an epoch, counted from 0, after so many of this process's batches.

        Raises:
            UserError: these were others, on another number of machines.
        """
        machines = group().process.machines
        if batches and self._begun_on not in (None, machines):
            raise UserError(
                f"This epoch was begun on {self._begun_on} machines, each of which reads shards of its own. There are "
                f"{machines} now, which would read others.\nGo on with as many as before, to its end at least."
            )
        self._from = (epoch, batches)

    def state_dict(self) -> dict[str, Any]:
        """What the order of batches hangs on, and may be another when a run goes on."""
        return {} if self._ahead is None else {"machines": group().process.machines}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of the checkpoint that a run goes on from."""
        self._begun_on = state_dict.get("machines")

    def examples(self, split: Split) -> list[Example]:
        """The readable examples that the run uses, for valid and test in the loader's order."""
        return self.dataset(split).images.examples

    def dataset(self, split: Split) -> CaptionDataset:
        """A split, prepared on first use; raises UserError."""
        if split not in self._datasets:
            with group().first():
                examples = self._chosen(split)
            images = self._images(examples, split)
            self.missing[split] = self._missing(split, len(examples) - len(images.examples), len(examples))
            tokens = self._tokens(images.examples, split)
            pairs = zip(images.examples, tokens, strict=True)
            beside = [self.beside(example, len(row)) for example, row in pairs] if self.beside else ()
            self._datasets[split] = CaptionDataset(images, tokens, self.processor.pad_token_id, beside)
        return self._datasets[split]

    def loader(
        self, split: Split, batch_size: int, *, shuffle: bool = False, only: Sequence[int] | None = None
    ) -> DataLoader[Batch]:
        """Batches of a whole split, in the order of `examples(split)` unless shuffled; or some of them, by number."""
        sampler = self._sampler(split, batch_size, shuffle, 0, 1)
        if only is None:
            return self._loader(split, sampler)
        batches = list(sampler)
        return self._loader(split, [batches[number] for number in only])

    def _sampler(self, split: Split, batch_size: int, shuffle: bool, rank: int, world: int) -> LengthSampler:
        dataset = self.dataset(split)
        lengths = [len(row) for row in dataset.tokens]
        fetched = dataset.images.fetched() if isinstance(dataset.images, Streamed) and shuffle else None
        if fetched is not None:
            shards, numbers = fetched
            self._ahead = self._ahead or Ahead(shards)
            here = group().process
            # A process for each device: those of a machine have numbers that follow one another.
            return ShardSampler(
                lengths, batch_size, self.seed, pool=self.length_pool, shards=numbers, window=self.window,
                rank=rank % here.on_machine, world=here.on_machine, machine=rank // here.on_machine,
                machines=here.machines, ahead=self._ahead.want,
            )  # fmt: skip
        return LengthSampler(
            lengths, batch_size, self.seed, shuffle=shuffle, pool=self.length_pool, rank=rank, world=world
        )

    def _loader(self, split: Split, sampler: Iterable[list[int]]) -> DataLoader[Batch]:
        dataset = self.dataset(split)
        workers = self.workers
        if workers is None:  # what is kept takes less time to read than to send between processes
            workers = min(8, cores() // (2 if isinstance(dataset.images, Streamed) else 4))
        return Loader(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Its own: a loader draws a number when it starts, and drawn from the global one that would shift the
            # dropout of a resumed run.
            generator=torch.Generator().manual_seed(self.seed),
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        sampler = self._sampler("train", self.images_a_batch, True, *self._part())
        sampler.go_on(*self._from)  # workers ask for the first batches before Lightning says which epoch it is
        return self._loader("train", sampler)

    def val_dataloader(self) -> DataLoader[Batch]:
        split = self.validates_on
        return self._loader(split, self._sampler(split, self.images_a_batch, False, *self._part()))

    @property
    def images_a_batch(self) -> int:
        """Of this process, in training."""
        assert self.batch_size is not None, "who trains says how many images are a batch"
        return self.batch_size

    def _part(self) -> tuple[int, int]:
        """Rank and number of the processes that train."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _missing(self, split: Split, unreadable: int, chosen: int) -> list[Missing]:
        source = self.source.source if isinstance(self.source, OnlyManual) else self.source
        listed = source.missing(split) if isinstance(source, SplitSource) else ()
        found = [*listed, Missing(unreadable, chosen, "images cannot be read")]
        for missing in found:
            require(split, missing, allowed=self.allow_missing)
        return found

    def _chosen(self, split: Split) -> list[Example]:
        examples = self.source.examples(split)
        if split == "train":
            if self.drop_leaks:
                examples = without_leaks(examples, self.source, self.fingerprint)
            examples = subset(examples, self.fraction, self.subset_seed)
            few = round(self.overfit * (len(examples) if self.overfit < 1 else self.images_a_batch * group().count))
            return examples[: max(1, few)] if self.overfit else examples
        if split == "valid" and self.val_images is not None:
            return fixed_sample(examples, self.val_images, self.subset_seed)
        return examples

    def _images(self, examples: list[Example], split: Split) -> Store | Features | Streamed:
        if split == "train" and self._streams(len(examples)):
            return self._streamed(examples)
        pixels = partial(open_images, processor=self.processor, dataset=self.fingerprint, split=split)
        images: Store | Features | None = self._features(examples, pixels, split)
        if images is None:
            with group().first():
                images = pixels(examples)
        if examples and not images.examples:
            first = next(iter(images.unreadable.values()))
            raise UserError(f"None of the {len(examples):,} images of {split} can be read; the first: {first}")
        return images

    def _streams(self, count: int) -> bool:
        if self.stream != "auto":
            return bool(self.stream)
        images = keys.Images.of(self.fingerprint, self.processor)
        # All processes do what the first finds.
        large, why = group().gathered(too_large(count, images, "train") if group().rank == 0 else None)[0]
        if large:
            log.info("train is streamed: %s", why)
        return bool(large)

    def _streamed(self, examples: list[Example]) -> Streamed:
        images = Streamed(examples, self.processor)
        features = " and encoded" if self.encoder is not None else ""
        log.info("train is decoded%s anew in each epoch: nothing of it is kept (data.stream)", features)
        if (fetched := images.fetched()) is not None:
            log.info(
                "train is fetched, %d shards, and shuffled within %d of them, that follow one another in an order of "
                "each epoch: another than that of images on the disk (data.window)",
                len(fetched[0]), self.window,
            )  # fmt: skip
            if (machines := group().process.machines) > 1:
                log.info("each of %d machines reads shards of its own: on another number, other batches", machines)
        return images

    def _features(
        self, examples: list[Example], pixels: Callable[[Sequence[Example]], Store], split: Split
    ) -> Features | None:
        if self.encoder is None or not self._keeps(len(examples)):
            return None
        try:
            images = keys.Images.of(self.fingerprint, self.processor)
            return features.open_features(examples, pixels, self.encoder, images, split)
        except NoSpace as error:
            log.warning("features are computed anew in each epoch: %s", error)
            return None

    def _keeps(self, count: int) -> bool:
        """Whether features are kept, chosen once for all splits, at the first: the training split is the largest."""
        if self.encoder is None or self.encoder.passes is None:
            return True
        if self._chose is None:
            key = self.encoder.key(keys.Images.of(self.fingerprint, self.processor))
            folder = cache_folder("features", key.folder, "train")
            first = group().rank == 0  # all processes do what it finds
            found = pays(self.encoder, count, self.processor.image_size, folder) if first else None
            self._chose, why = group().gathered(found)[0]
            log.info("features are %s: %s", "kept" if self._chose else "computed anew in each epoch", why)
        return self._chose

    def _tokens(self, examples: Sequence[Example], split: Split) -> list[list[int]]:
        """Those of each example's answer; none where that is not known."""
        rows, cut = [], 0
        for text in map(self.answer, examples):
            ids, was_cut = ([], False) if text is None else self.processor.tokens(text, self.max_tokens)
            rows.append(ids)
            cut += was_cut
        if cut:
            log.info(
                "%s: %d of %d captions were longer than %d tokens and were cut", split, cut, len(rows), self.max_tokens
            )
        return rows
