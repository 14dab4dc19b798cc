"""Token embeddings of texts by an encoder from a directory or the Hugging Face cache; nothing is downloaded unasked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoTokenizer, GPT2Tokenizer, RobertaTokenizer

from rococap.types import UserError

# Weights in other frameworks' formats.
_FOREIGN = ["*.h5", "*.msgpack", "*.ot", "*.onnx", "onnx/*"]


class TextEncoder:
    """The first layers of an encoder, in fp32, on the GPU where there is one."""

    def __init__(self, folder: Path, layer: int) -> None:
        """Load from a directory in transformers' format. Raises UserError where it is none, or has too few layers."""
        try:
            with _quiet():
                self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
                self.network, info = AutoModel.from_pretrained(
                    folder,
                    num_hidden_layers=layer,
                    dtype=torch.float32,
                    output_loading_info=True,
                    trust_remote_code=False,
                )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"metrics: {folder} cannot be loaded as an encoder of texts: {reason}") from error
        if missing := sorted(name for name in info["missing_keys"] if not name.startswith("pooler.")):
            raise UserError(
                f"metrics: the encoder in {folder} lacks {len(missing)} weights of its first {layer} layers, such as "
                f"{missing[0]}.\nThey would be random. Has it fewer layers?"
            )
        self.network.eval()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.checksum = _checksum(self.network)
        self.network.to(self.device)

    def tokens(self, text: str) -> list[int]:
        """Token ids, special ones included, cut at the encoder's longest; as bert_score's `sent_encode`."""
        text = text.strip()
        if text and isinstance(self.tokenizer, (GPT2Tokenizer, RobertaTokenizer)):
            text = f" {text}"  # so that the first word is the same token as elsewhere
        ids: list[int] = self.tokenizer(text, truncation=True, max_length=self._longest())["input_ids"]
        return ids

    @torch.inference_mode()
    def embed(self, tokens: Sequence[Sequence[int]], batch_size: int) -> list[Tensor]:
        """Unit vectors `float32 [tokens, width]` of each text, on the CPU: 4 KB a token of a model 1,024 wide."""
        result: list[Tensor] = [torch.empty(0)] * len(tokens)
        order = sorted(range(len(tokens)), key=lambda row: -len(tokens[row]))  # little padding
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            ids = pad_sequence([torch.tensor(tokens[row]) for row in rows], batch_first=True)
            mask = pad_sequence([torch.ones(len(tokens[row]), dtype=torch.long) for row in rows], batch_first=True)
            ids = ids.masked_fill(mask == 0, self.tokenizer.pad_token_id)
            hidden = self.network(ids.to(self.device), attention_mask=mask.to(self.device)).last_hidden_state
            hidden = torch.nn.functional.normalize(hidden, dim=-1).cpu()
            for row, vectors in zip(rows, hidden, strict=True):
                result[row] = vectors[: len(tokens[row])].clone()
        return result

    def _longest(self) -> int:
        limit: int = self.tokenizer.model_max_length
        # A tokenizer saved without a limit says 10^30. RoBERTa counts positions from its padding id on, less two.
        return limit if limit < 1 << 20 else self.network.config.max_position_embeddings - 2


def locate(model: str, download: bool) -> Path:
    """The directory of an encoder: a directory, or a name on the hub that is in the cache, or may be downloaded.

    Raises:
        UserError: it is not here, with the command that gets it.
    """
    if Path(model).is_dir():
        return Path(model)
    try:
        return Path(snapshot_download(model, local_files_only=not download, ignore_patterns=_FOREIGN))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        if download:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"metrics: the Hugging Face hub did not give {model}: {reason}") from error
        raise UserError(
            f"metrics: BERTScore needs the encoder {model}, which is not on this machine.\n"
            f"Get it: hf download {model}   or let it be got: metrics.bertscore.download=true\n"
            "or name a directory that holds it: metrics.bertscore.model=DIR"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars, and its report of weights that are not loaded: later layers, heads."""
    logging = transformers.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _checksum(network: torch.nn.Module) -> str:
    """8 hex digits of all weights: a signature holds wherever the encoder lies."""
    value = 0
    for parameter in network.parameters():
        value = zlib.crc32(parameter.detach().contiguous().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"
