"""Loading from the Hugging Face hub or a directory, with answers that a user can act on."""

from __future__ import annotations

import logging
import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    VisionEncoderDecoderModel,
)
from transformers.image_processing_base import ImageProcessingMixin

from rococap.models.processor import ImageSettings, image_settings
from rococap.types import UserError

log = logging.getLogger(__name__)

if "TRANSFORMERS_VERBOSITY" not in os.environ:  # its warnings speak of choices that are made, and tested, here
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
logging.getLogger("huggingface_hub.utils._http").setLevel(logging.ERROR)  # its retries; the outcome is told below


def load_whole(path: str) -> tuple[VisionEncoderDecoderModel, frozenset[str]]:
    """A VisionEncoderDecoderModel in fp32, and the names of its parameters that the checkpoint lacked.

    Raises:
        UserError: no such checkpoint, or not ViT and GPT-2.
    """
    config = _config(path)
    if config.model_type != "vision-encoder-decoder":
        raise UserError(
            f"model.path={path} is a {config.model_type} checkpoint, not a vision-encoder-decoder.\n"
            "To join a ViT and a GPT-2 of your choice: model=vit_gpt2_fresh model.encoder=... model.decoder=..."
        )
    _require(config.encoder, ("vit",), f"{path} (encoder)")
    _require(config.decoder, ("gpt2",), f"{path} (decoder)")
    with _answers(path):
        model, info = VisionEncoderDecoderModel.from_pretrained(
            path, config=_without_generation(config), dtype=torch.float32, output_loading_info=True
        )
    model.encoder.pooler = None  # nothing reads it: it would train on no gradient
    missing = frozenset(name for name in info["missing_keys"] if not name.startswith("encoder.pooler."))
    return model, missing


def load_vit(path: str) -> tuple[PreTrainedModel, frozenset[str]]:
    """A vision tower in fp32, without its pooler, and the names of its parameters that the checkpoint lacked."""
    _require(_config(path), ("vit",), path)
    with _answers(path):
        model, info = AutoModel.from_pretrained(
            path, add_pooling_layer=False, dtype=torch.float32, output_loading_info=True
        )
    return model, frozenset(info["missing_keys"])


def load_gpt2(path: str) -> tuple[PreTrainedModel, frozenset[str]]:
    """A GPT-2 in fp32 with cross-attention, and the names of its parameters that the checkpoint lacked."""
    config = _config(path)
    _require(config, ("gpt2",), path)
    config.is_decoder, config.add_cross_attention = True, True
    with _answers(path):
        model, info = AutoModelForCausalLM.from_pretrained(
            path, config=config, dtype=torch.float32, output_loading_info=True
        )
    return model, frozenset(info["missing_keys"])


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer; it must know an end token."""
    with _answers(path):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path)
    if tokenizer.eos_token_id is None:
        raise UserError(f"{path}: its tokenizer has no end token, so no caption could end.")
    return tokenizer


def load_image_settings(path: str) -> ImageSettings:
    """What the checkpoint's preprocessor_config.json says."""
    with _answers(path):
        config, _ = ImageProcessingMixin.get_image_processor_dict(path)
    return image_settings(config, f"{path}/preprocessor_config.json")


def place(path: str) -> str:
    """A directory's absolute path, so that it opens from anywhere; a name on the hub as it is."""
    return str(Path(path).resolve()) if Path(path).is_dir() else path


def _config(path: str) -> PretrainedConfig:
    if Path(path).is_dir() and not (Path(path) / "config.json").is_file():
        raise UserError(f"{path}: the directory holds no model (no config.json).")
    with _answers(path):
        config: PretrainedConfig = AutoConfig.from_pretrained(path)
    return config


def _require(config: PretrainedConfig, types: tuple[str, ...], where: str) -> None:
    if config.model_type not in types:
        raise UserError(f"{where} is of type {config.model_type}: this architecture takes {' or '.join(types)}.")


def _without_generation(config: PretrainedConfig) -> PretrainedConfig:
    """Drop max_length, num_beams and the like, as checkpoints of 2021 carry them: `generate` refuses them there."""
    for part in (config, config.encoder, config.decoder):
        for name in transformers.GenerationConfig().to_dict():
            if name in part.__dict__ and not name.endswith("token_id") and name not in PretrainedConfig().to_dict():
                delattr(part, name)
    return config


@contextmanager
def _answers(path: str) -> Iterator[None]:
    """Turn what can go wrong while loading into one answer."""
    if not Path(path).is_dir():
        log.info("asking the Hugging Face hub for %s", path)
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        if Path(path).is_dir():
            raise UserError(f"{path}: the directory cannot be loaded as a model: {reason}") from error
        raise UserError(
            f"{path} is no directory here, and the Hugging Face hub did not give it: {reason}\n"
            "Check the name and the network, or download it elsewhere and pass its directory."
        ) from error
