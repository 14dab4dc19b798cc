"""Where the captioner that comes with rococap looks, without a run."""

import torch

from rococap.models.tiny import tiny
from rococap.report.attention import attention


@torch.no_grad()
def looked(shown):
    captioner = tiny().eval()
    return attention(captioner, lambda pixels, texts: captioner.attend(captioner.encode(pixels), texts), shown)
