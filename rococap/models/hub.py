"""Loading from the Hugging Face hub or a directory, with answers that a user can act on."""

from __future__ import annotations

import json
import logging
import os
import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase
from transformers.image_processing_base import ImageProcessingMixin

from rococap.models.linear import linear_layers, require_layers
from rococap.models.loading import Loading, finish_loading
from rococap.models.mapped import given_back
from rococap.models.processor import ImageSettings, image_settings, with_defaults
from rococap.types import UserError

log = logging.getLogger(__name__)

# model_type of a checkpoint -> the `model=` that reads it
READERS = {
    "vision-encoder-decoder": "vit_gpt2",
    "blip": "blip",
    "blip-2": "blip2",
    "llava": "llava",
    "llava_mistral": "llava_med",
}

# Files of a checkpoint's weights, in transformers' order.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)

# A checkpoint may bring Python of its own, and transformers would ask at the terminal whether to run it: it is not run.
# Of its weights, those that are pickled are read as tensors and plain values only.
OWN_CODE_ONLY = {"trust_remote_code": False}

if "TRANSFORMERS_VERBOSITY" not in os.environ:  # its warnings speak of choices that are made, and tested, here
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # at each step it says what int8 rounds
logging.getLogger("huggingface_hub.utils._http").setLevel(logging.ERROR)  # its retries; the outcome is told below


def load(
    auto: Any, path: str, loading: Loading, keep: Sequence[str] = (), **arguments: Any
) -> tuple[Any, frozenset[str]]:
    """A checkpoint's model, and the names of its parameters that the checkpoint lacked: these have random values.

    Args:
        auto: one of transformers' classes with `from_pretrained`.
        keep: see `Loading.arguments`.
        arguments: of `from_pretrained` beside those of the loading, such as a config.

    Raises:
        UserError: there is no such checkpoint, a part of it is missing or broken, or weights of layers that are to be
            rounded are not in it.
    """
    if loading.adapts:
        require_layers(
            linear_layers(_without_weights(auto, path, arguments.get("config"))), loading.adapts, ["decoder"]
        )
    with answers(path), nullcontext() if loading.weights == "none" else given_back():
        given = {**OWN_CODE_ONLY, **loading.arguments(keep), **arguments}
        model, info = auto.from_pretrained(path, output_loading_info=True, **given)
    finish_loading(model, loading)
    missing = frozenset(info["missing_keys"])
    rounded = [name for name in missing if type(_owner(model, name)).__name__ in {"Linear4bit", "Linear8bitLt"}]
    if rounded:
        raise UserError(
            f"{path} lacks {len(rounded)} weights, such as {rounded[0]}: new ones can't be rounded to "
            f"{loading.weights}, since they must train.\nTake precision=auto."
        )
    return model, missing


def _without_weights(auto: Any, path: str, config: PretrainedConfig | None) -> torch.nn.Module:
    """The model that one of transformers' classes would open."""
    with answers(path), torch.device("meta"):
        known = AutoConfig.from_pretrained(path, **OWN_CODE_ONLY) if config is None else config
        model: torch.nn.Module = auto.from_config(known) if hasattr(auto, "from_config") else auto(known)
    return model


def require_files(path: str) -> None:
    """Refuse a directory whose weights are not all there.

    Of several formats the one counts that transformers takes: a download may leave out the other.

    Raises:
        UserError: files are missing that the index names, or pointers of Git LFS stand for files.
    """
    folder = Path(path)
    first = next((name for name in WEIGHTS if (folder / name).is_file()), None)
    if first is None:
        return
    named = {first}
    if first.endswith(".index.json"):
        with answers(path):
            named = set(json.loads((folder / first).read_text(encoding="utf-8"))["weight_map"].values())
    if lacking := sorted(name for name in named if not (folder / name).is_file()):
        raise UserError(
            f"{path}: {len(lacking)} of {len(named)} files that {first} names are not there, such as {lacking[0]}.\n"
            "Download them too."
        )
    if pointers := [
        name for name in sorted({*named, "tokenizer.json", "tokenizer.model"}) if _is_pointer(folder / name)
    ]:
        raise UserError(
            f"{path}: {', '.join(pointers[:3])} is a pointer of Git LFS and not the file itself.\n"
            "Run there: git lfs pull"
        )


def _is_pointer(file: Path) -> bool:
    if not file.is_file() or file.stat().st_size > 1000:
        return False
    return file.read_bytes().startswith(b"version https://git-lfs")


def load_tokenizer(path: str, *, ends: Sequence[str] = ("eos_token",)) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer; it must know one of the tokens `ends`, where there are any."""
    with answers(path):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, **OWN_CODE_ONLY)
    if ends and all(getattr(tokenizer, end) is None for end in ends):
        raise UserError(f"{path}: its tokenizer has no end token, so no caption could end.")
    return tokenizer


def load_image_settings(path: str) -> ImageSettings:
    """What the checkpoint's preprocessor_config.json says."""
    return image_settings(load_image_content(path), f"{path}/preprocessor_config.json")


def load_image_content(path: str) -> dict[str, Any]:
    """The content of the checkpoint's preprocessor_config.json, or of its processor_config.json, with defaults."""
    with answers(path):
        try:
            return with_defaults(ImageProcessingMixin.get_image_processor_dict(path)[0])
        except OSError as error:
            if Path(path).is_dir() and not (Path(path) / "preprocessor_config.json").is_file():
                raise UserError(
                    f"{path}: no preprocessor_config.json says how large images are to be and how they are scaled.\n"
                    "Copy it from where the model was published."
                ) from error
            raise


def load_config(path: str, types: Sequence[str] = (), setting: str = "model.path") -> PretrainedConfig:
    """The checkpoint's config, read before its weights.

    Args:
        types: the model types that can be read; any, where there is none.
        setting: that named the path, for the message.

    Raises:
        UserError: there is none, or it is of another type; then the `model=` that reads it is named.
    """
    kind = load_type(path)
    if types and kind not in types:
        raise other_type(path, kind, types, setting)
    with answers(path):
        config: PretrainedConfig = AutoConfig.from_pretrained(path, **OWN_CODE_ONLY)
    return config


def other_type(path: str, kind: str, types: Sequence[str], setting: str = "model.path") -> UserError:
    """The answer to a checkpoint of a type that is none of those that can be read."""
    reader = READERS.get(kind)
    remedy = f"model={reader} reads it" if reader else "model=vlm reads image-text models of many types"
    return UserError(
        f"{setting}={path} is of type {kind}: this architecture takes {', '.join(types)}.\n"
        f"Take another checkpoint, or another model: {remedy}."
    )


def load_type(path: str) -> str:
    """The checkpoint's model_type, also one that transformers does not know."""
    if Path(path).is_dir() and not (Path(path) / "config.json").is_file():
        raise UserError(f"{path}: the directory holds no model (no config.json).")
    require_files(path)
    with answers(path):
        return str(PretrainedConfig.get_config_dict(path)[0].get("model_type"))


def require_architecture(config: PretrainedConfig, path: str, name: str) -> None:
    """Refuse with UserError what is of the right type but made for another task, such as answering questions."""
    named = config.architectures or [name]
    if name not in named:
        raise UserError(f"model.path={path} holds a {named[0]}, which does not caption.\nTake one that holds a {name}.")


def place(path: str) -> str:
    """A directory's absolute path, so that it opens from anywhere; a name on the hub as it is."""
    return str(Path(path).resolve()) if Path(path).is_dir() else path


def without_generation(config: PretrainedConfig, *parts: PretrainedConfig) -> PretrainedConfig:
    """Drop max_length, num_beams and the like, as checkpoints of 2021 carry them: `generate` refuses them there."""
    for part in (config, *parts):
        for name in transformers.GenerationConfig().to_dict():
            if name in part.__dict__ and not name.endswith("token_id") and name not in PretrainedConfig().to_dict():
                delattr(part, name)
    return config


def _owner(model: torch.nn.Module, parameter: str) -> torch.nn.Module | None:
    try:
        return model.get_submodule(parameter.rpartition(".")[0])
    except AttributeError:
        return None


@contextmanager
def answers(path: str) -> Iterator[None]:
    """Turn what can go wrong while loading into one answer."""
    if not Path(path).is_dir():
        log.info("asking the Hugging Face hub for %s", path)
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        if "automatic conversion of the weights" in reason:  # transformers keeps the cause to its log
            reason = "its weights could not be rounded or renamed; mostly there is too little memory."
        if Path(path).is_dir():
            raise UserError(f"{path}: the directory cannot be loaded as a model: {reason}") from error
        if "gated" in reason.lower() or "403" in reason:
            raise UserError(
                f"{path} is gated on the Hugging Face hub: {reason}\n"
                f"Accept its terms at huggingface.co/{path}, then: hf auth login"
            ) from error
        raise UserError(
            f"{path} is no directory here, and the Hugging Face hub did not give it: {reason}\n"
            "Check the name and the network, or download it elsewhere and pass its directory."
        ) from error
