"""The LightningModule: glue between a captioner and a trainer, without model code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from rococap.data.datamodule import CaptionData
from rococap.models.audit import refuse_blind, refuse_missing_gradients
from rococap.models.base import Model, features_of
from rococap.models.checkpoint import load_checkpoint
from rococap.training.optim import parameter_groups, set_mode
from rococap.types import Batch, Said, Scorer, UserError

# Losses are summed over tokens. Divided by a constant of a batch's size they keep fp16's scale in range; the true
# number of tokens is divided by once the whole step is known.
_NOMINAL_TOKENS = 256.0
_SHOWN = 8  # ids of a step whose loss is no number
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class _Step:
    """A batch that was trained on."""

    loss: Tensor
    ids: Sequence[str]
    number: int
    rate: float

    def not_finite(self) -> str:
        """What to say of a loss that is no number."""
        shown = ", ".join(self.ids[:_SHOWN]) + (f" and {len(self.ids) - _SHOWN} more" if self.ids[_SHOWN:] else "")
        return (
            f"The loss is {float(self.loss)} in step {self.number + 1}, at learning rate {self.rate:.3g}, of "
            f"{shown}.\nThe last good checkpoint is kept. Try a lower optimizer.lr or trainer.gradient_clip_val, "
            "precision=fp32, or look at these images and captions."
        )


class CaptionModule(pl.LightningModule):
    """Trains a captioner or a detector; after each epoch asks it of the validation images, and scores what it says.

    Args:
        optimizer: from parameter groups to an optimizer.
        scheduler: from an optimizer and the number of steps to a schedule.
        scorer: from captions and their examples to metrics and guards; None where nothing is scored, and so not
            captioned.
        decoding: arguments of `Captioner.generate`.
        seed: of dropout and augmenting, together with epoch, batch and process.
        augment: changes training images; None leaves them as they are.
    """

    def __init__(
        self,
        captioner: Model,
        optimizer: Callable[[list[dict[str, Any]]], Optimizer],
        scheduler: Callable[[Optimizer, int], Any],
        scorer: Scorer | None,
        decoding: dict[str, int],
        seed: int,
        augment: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.captioner = captioner
        self.build_optimizer = optimizer
        self.build_scheduler = scheduler
        self.scorer = scorer
        self.decoding = decoding
        self.seed = seed
        self.augment = augment
        self.strict_loading = False  # checkpoints hold what trains and nothing else
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self.step_tokens = torch.zeros((), dtype=torch.long)
        self.said: dict[str, Said] = {}
        self.gradients_seen = False
        self.trained: list[_Step] = []  # the last two batches, of which it was not asked yet whether they went well
        self.skipped = 0  # steps that fp16's scaler left out
        self.scale = 0.0  # by which it multiplies the loss
        self.first_features: Tensor | None = None  # those of the first step, until their gradient was looked at

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = self.build_optimizer(parameter_groups(self.captioner))
        schedule = self.build_scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # What is drawn for a batch hangs on nothing that was drawn before: a run goes on at any of them.
        place = [self.seed, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))
        set_mode(self.trainer.optimizers, training=True)
        self._refuse_not_finite(but=1)  # a GPU is still at the last one, and to ask would wait for it
        self._count_skipped()

    def on_train_epoch_end(self) -> None:
        set_mode(self.trainer.optimizers, training=False)  # before a callback saves the weights

    def on_validation_start(self) -> None:
        self._refuse_not_finite()
        set_mode(self.trainer.optimizers, training=False)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if self.augment is not None:
            assert batch.pixel_values is not None
            batch = replace(batch, pixel_values=self.augment(batch.pixel_values))
        features = features_of(self.captioner, batch)
        if batch.ids and self._watches(features):
            self.first_features = features = features.detach().requires_grad_()
        loss, tokens = self._loss(batch, features)
        self.step_tokens = self.step_tokens.to(tokens.device) + tokens
        mean = loss.detach() / tokens.clamp(min=1)
        self.train_loss.update(mean, tokens)
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.trained.append(_Step(mean, batch.ids, self.trainer.global_step, rate))
        self.log("train/loss_step", mean, batch_size=len(batch.input_ids))
        # The run folder's records tell the loggers of an epoch: before its checkpoint, not after it.
        self.log(
            "train/loss",
            self.train_loss,
            prog_bar=True,
            logger=False,
            on_step=False,
            on_epoch=True,
            batch_size=len(batch.input_ids),
        )
        scaled: Tensor = loss / _NOMINAL_TOKENS
        return scaled

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Make the gradient that of the mean over all real tokens of this step.

        Lightning has divided it by the number of micro-batches and averaged it over processes, which is the mean
        of means; what is asked for is the sum of sums over the sum of counts. Comes before clipping.
        """
        if not self.gradients_seen:
            refuse_missing_gradients(self.captioner)
            if self.first_features is not None:
                refuse_blind(self.captioner, self.first_features.grad)
            self.gradients_seen, self.first_features = True, None
        tokens = self.trainer.strategy.reduce(self.step_tokens, reduce_op="sum")
        factor = _NOMINAL_TOKENS * self.trainer.accumulate_grad_batches * self.trainer.world_size / tokens
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        torch._foreach_mul_(gradients, factor)
        self.step_tokens.zero_()

    def _refuse_not_finite(self, *, but: int = 0) -> None:
        """End the run where a loss was no number; `but`: so many of the last are asked later."""
        while len(self.trained) > but:
            step = self.trained.pop(0)
            if not torch.isfinite(step.loss):
                raise UserError(step.not_finite())

    def _count_skipped(self) -> None:
        """fp16's scaler leaves a step out where its gradients overflow, and then halves its scale."""
        if (scaler := getattr(self.trainer.precision_plugin, "scaler", None)) is not None:
            scale = scaler.get_scale()
            self.skipped += scale < self.scale
            self.scale = scale

    def _loss(self, batch: Batch, features: Tensor) -> tuple[Tensor, Tensor]:
        """As the captioner's `forward`; of an image that stands in, see `Batch`, nothing counts."""
        loss, tokens = self.captioner(features, batch.input_ids, batch.attention_mask)
        if self.training and (head := self.captioner.concepts) is not None:
            assert batch.label_ids is not None
            loss = loss + head.loss(features, batch.label_ids, batch.attention_mask.sum(dim=1))
        return (loss, tokens) if batch.ids else (loss * 0, tokens * 0)

    def _watches(self, features: Tensor) -> bool:
        """Whether to ask once if the loss hangs on the features; a compiled loss would be compiled twice for that."""
        first = not self.gradients_seen and self.first_features is None
        return first and not features.requires_grad and self.captioner._compiled_call_impl is None

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        features = features_of(self.captioner, batch)
        loss, tokens = self._loss(batch, features)
        self.val_loss.update(loss / tokens.clamp(min=1), tokens)
        self.log("val/loss", self.val_loss, prog_bar=True, logger=False, batch_size=len(batch.input_ids))
        if self._asks and batch.ids:
            said = self.captioner.predict(features, self.decoding, batch.prompts)
            self.said.update(zip(batch.ids, said, strict=True))

    def on_validation_epoch_end(self) -> None:
        if not self._asks:
            return
        said = self._gathered(self.said)
        data: CaptionData = self.trainer.datamodule  # type: ignore[attr-defined]
        asked = [e for e in data.examples(data.validates_on) if e.id in said]
        texts = self.captioner.settle([said[e.id] for e in asked], asked)  # in every process, to the same
        scores: dict[str, float] = {}
        if self.trainer.is_global_zero and self.scorer is not None:
            scores = self.scorer(texts, asked)
        scores = self.trainer.strategy.broadcast(scores)
        self.log_dict({f"val/{name}": value for name, value in scores.items()}, logger=False)
        self.said.clear()

    @property
    def _asks(self) -> bool:
        """Whether anything hangs on what is said of the validation images."""
        return self.scorer is not None or self.captioner.settles

    def _gathered(self, said: dict[str, Said]) -> dict[str, Said]:
        """What all processes were told; an image that two of them asked of counts once."""
        return {key: value for part in self._of_all(said) for key, value in part.items()}

    def _of_all(self, value: _Value) -> list[_Value]:
        """What each process has, by rank."""
        if self.trainer.world_size == 1:
            return [value]
        values = [value] * self.trainer.world_size
        torch.distributed.all_gather_object(values, value)
        return values

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._refuse_not_finite()
        checkpoint["skipped"] = self.skipped
        own = {f"captioner.{name}": value for name, value in self.captioner.trainable_state().items()}
        checkpoint["state_dict"] = own
        checkpoint["facts"] = self.captioner.facts()
        loss = self.train_loss  # of the epoch that is going on, as far as it is
        checkpoint["train_loss"] = self._of_all([float(loss.mean_value), float(loss.weight)])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        load_checkpoint(self.captioner, checkpoint)
        self.skipped = checkpoint.get("skipped", 0)
        if checkpoint.get("batches"):  # within an epoch
            self.train_loss.reset()
            parts = torch.tensor(checkpoint["train_loss"], dtype=torch.float64)
            # Of as many processes as now each goes on with its own; else the first one with all.
            own = parts[self.global_rank] if len(parts) == self.trainer.world_size else parts.sum(0)
            if len(parts) == self.trainer.world_size or self.global_rank == 0:
                self.train_loss.mean_value, self.train_loss.weight = own.to(self.train_loss.weight.dtype).unbind()
