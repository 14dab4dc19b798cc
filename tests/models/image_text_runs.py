"""What transformers itself makes of image-text models, from pixels."""

import torch


def whole(captioner, labels):
    """Prompt and captions but for their last token."""
    prompt = torch.tensor([captioner.prompt_ids] * len(labels))
    return torch.cat([prompt, labels[:, :-1]], dim=1)


def whole_logits(given):
    """By transformers' forward from pixels; `given(captioner, pixels, ids)` are the arguments beside the tokens."""

    def logits(captioner, pixels, labels):
        ids = whole(captioner, labels)
        found = captioner.model(input_ids=ids, **given(captioner, pixels, ids)).logits
        return found[:, len(captioner.prompt_ids) - 1 :]

    return logits


def whole_ids(given):
    def ids(captioner, pixels, **options):
        start = torch.tensor([captioner.prompt_ids] * len(pixels))
        found = captioner.model.generate(
            input_ids=start,
            attention_mask=torch.ones_like(start),
            do_sample=False,
            generation_config=captioner.generation,
            **given(captioner, pixels, start),
            **options,
        )
        return found[:, start.shape[1] :]

    return ids


def as_they_are(captioner, pixels, ids):
    return {"pixel_values": pixels}


def paligemma_given(captioner, pixels, ids):
    kinds = torch.zeros_like(ids)
    kinds[:, len(captioner.prompt_ids) :] = 1
    return {"pixel_values": pixels, "token_type_ids": kinds}


def gemma3_given(captioner, pixels, ids):
    kinds = (ids == captioner.model.config.image_token_index).long()
    return {"pixel_values": pixels, "token_type_ids": kinds}


def tiled_given(captioner, pixels, ids):
    return {"pixel_values": pixels[:, None]}


def qwen_given(captioner, pixels, ids):
    """Patches by the image processor itself, of pixels that are normalised already."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    vision = captioner.model.config.vision_config
    cut = Qwen2VLImageProcessorPil(
        patch_size=vision.patch_size, do_resize=False, do_rescale=False, do_normalize=False, do_convert_rgb=False
    )
    seen = cut([image.numpy() for image in pixels], return_tensors="pt", input_data_format="channels_first")
    image = ids == captioner.model.config.image_token_id
    return {**seen, "mm_token_type_ids": image.int()}


def qwen_whole(patches, size):
    """From patches of 8 x 8 pixels, in blocks of 2 x 2, each twice, to [3, height, width]."""
    rows, columns = size[0] // 16, size[1] // 16
    cut = patches.view(rows, columns, 2, 2, 3, 2, 8, 8)
    assert torch.equal(cut[:, :, :, :, :, 0], cut[:, :, :, :, :, 1])
    return cut[:, :, :, :, :, 0].permute(4, 0, 2, 5, 1, 3, 6).reshape(3, *size)


REOPENED = """
full = torch.cat([ids, labels[:, :-1]], dim=1)
logits = model(input_ids=full, **given).logits[:, ids.shape[1] - 1 :]
"""
PALIGEMMA_REOPENED = """
full = torch.cat([ids, labels[:, :-1]], dim=1)
given = given | {"token_type_ids": torch.cat([torch.zeros_like(ids), torch.ones_like(labels[:, :-1])], dim=1)}
logits = model(input_ids=full, **given).logits[:, ids.shape[1] - 1 :]
"""
PADDED = """
full = torch.cat([ids, labels[:, :-1]], dim=1)
kinds = "token_type_ids" if "token_type_ids" in given else "mm_token_type_ids"
given = given | {kinds: torch.nn.functional.pad(given[kinds], (0, labels.shape[1] - 1))}
logits = model(input_ids=full, **given).logits[:, ids.shape[1] - 1 :]
"""
