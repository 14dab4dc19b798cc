"""The text in which an image-text model finds its image."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from transformers import GenerationConfig, PretrainedConfig, PreTrainedTokenizerBase
from transformers.processing_utils import ProcessorMixin

from rococap.models.hub import answers
from rococap.types import UserError

PLACE = "<image>"
QUESTION = "Describe this radiology image."


@dataclass(frozen=True)
class Prompt:
    """What stands before a caption.

    Attributes:
        text: all of it, special tokens spelt out; `token` stands in it once.
        token: the special token of which one stands for each position of the image.
    """

    text: str
    token: str

    def ids(self, tokenizer: PreTrainedTokenizerBase, count: int) -> list[int]:
        """Tokens, `count` of them the image's."""
        text = self.text.replace(self.token, self.token * count)
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def code(self, count: int) -> str:
        """The text for so many tokens, as a Python expression."""
        return f"{self.text!r}.replace({self.token!r}, {self.token!r} * {count})"


def make_prompt(
    text: str | None,
    tokenizer: PreTrainedTokenizerBase,
    token_id: int,
    *,
    templates: Sequence[str],
    mark: str,
    full: str,
    default: str | None,
    begins: bool,
) -> Prompt:
    """A prompt as a user writes it, or a checkpoint's own.

    Args:
        text: with <image>, or `mark`, once; None: made from the chat template, or else `default`.
        token_id: of the image's token.
        templates: the checkpoint's chat templates, in Jinja; the first that places an image is taken.
        mark: how the chat template writes the image's place.
        full: how the model wants to see it; the image's token stands in it once.
        begins: whether the tokenizer's begin token goes before the text where the tokenizer puts one.

    Raises:
        UserError: the image has no place in the text, or several; or the checkpoint has no text of its own.
    """
    token = str(tokenizer.convert_ids_to_tokens(token_id))
    if tokenizer.convert_tokens_to_ids(token) != token_id:
        raise UserError(f"model.path: its tokenizer has no token {token_id}, which its config names for the image.")
    own = text is None
    if text is None:
        text = next(_from_templates(tokenizer, templates, mark), default)
    if text is None:
        raise UserError(
            "model.prompt: the checkpoint has no chat template that places an image. Give the text before a caption, "
            f"such as model.prompt='{PLACE} {QUESTION}'"
        )
    marks = {mark, PLACE} if token != PLACE else {mark}
    require_place(text, marks, "the checkpoint's own prompt" if own else f"model.prompt={text!r}")
    for place in marks:
        text = text.replace(place, full)
    if begins and _begins(tokenizer) and not text.startswith(str(tokenizer.bos_token)):
        text = f"{tokenizer.bos_token}{text}"
    prompt = Prompt(text, token)
    if prompt.ids(tokenizer, 2).count(token_id) != 2:
        raise UserError(f"model.path: its tokenizer does not know {token}, the token that stands for the image.")
    return prompt


def require_place(text: str, marks: Collection[str], said: str) -> None:
    """Raises UserError unless one of the `marks` stands in a text, once; `said` names the text."""
    count = sum(text.count(place) for place in marks)
    if count != 1:
        raise UserError(f"{said} has {count or 'no'} places for the image: write {PLACE} once.")


def chat_templates(path: str, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The checkpoint's chat templates: of its processor, and of its tokenizer, which may be for text alone."""
    try:
        processors: Any = ProcessorMixin.get_processor_dict(path)[0].get("chat_template")
    except OSError:  # there is no such file
        processors = None
    # A checkpoint may have several by name, for tools and the like.
    found = [each.get("default") if isinstance(each, dict) else each for each in (processors, tokenizer.chat_template)]
    return [each for each in found if isinstance(each, str)]


def end_tokens(path: str, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> list[int]:
    """The tokens that end a caption: the tokenizer's first, which a model is taught, then others that it may know.

    Raises:
        UserError: there is none.
    """
    try:
        said: Any = GenerationConfig.from_pretrained(path).eos_token_id
    except OSError:  # there is no such file
        said = getattr(config.get_text_config(), "eos_token_id", None) or getattr(config, "eos_token_id", None)
    more = said if isinstance(said, list) else [said]
    ends = [int(end) for end in (tokenizer.eos_token_id, *more) if end is not None]
    if not ends:
        raise UserError(f"{path}: neither its tokenizer nor its settings name an end token, so no caption could end.")
    return list(dict.fromkeys(ends))


def spare_token(tokenizer: PreTrainedTokenizerBase, vocabulary: int, path: str) -> int:
    """A token that may stand for an image where a language model has none of its own: no caption has it.

    Args:
        vocabulary: size of the language model's table of tokens.
        path: for the message.

    Raises:
        UserError: there is none.
    """
    taken = {tokenizer.eos_token_id, tokenizer.bos_token_id}
    special = {
        int(number): str(token.content)
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special and number not in taken and number < vocabulary
    }
    for wanted in ("image", "reserved", "unk", ""):
        for number in sorted(special):
            if wanted in special[number]:
                return number
    raise UserError(
        f"{path}: its tokenizer has no special token beside those that begin and end a text: none can stand for the "
        "image.\nTake another language model."
    )


def _from_templates(tokenizer: PreTrainedTokenizerBase, templates: Sequence[str], mark: str) -> Iterator[str]:
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    for template in templates:
        with answers("the chat template"):
            try:
                text: str = tokenizer.apply_chat_template(
                    [{"role": "user", "content": content}],
                    chat_template=template,
                    add_generation_prompt=True,
                    tokenize=False,
                )
            except (TemplateError, TypeError):  # a template for text alone
                continue
        if mark in text or PLACE in text:
            yield text


def _begins(tokenizer: PreTrainedTokenizerBase) -> bool:
    ids = tokenizer("a")["input_ids"]
    return tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id
