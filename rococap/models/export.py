"""The best weights in formats that need no rococap: PEFT's for an adapter, Hugging Face's for a whole model."""

from __future__ import annotations

import shutil
from pathlib import Path

from peft import PeftModel

from rococap.models.base import Captioner

_README = """\
# {title}

Trained with rococap. Not for clinical use.

```python
{code}
model.eval()
```

To caption an image:

```python
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, GenerationConfig

tokenizer = AutoTokenizer.from_pretrained("{folder}")
processor = AutoImageProcessor.from_pretrained("{folder}")
settings = GenerationConfig.from_pretrained("{folder}", max_new_tokens=128)
pixel_values = processor(Image.open("IMAGE").convert("RGB"), return_tensors="pt").pixel_values
with torch.no_grad():
    ids = model.generate(pixel_values=pixel_values, generation_config=settings)
print(tokenizer.decode(ids[0], skip_special_tokens=True))
```

`rococap` reads images of more kinds (16-bit, CMYK, transparent) than `convert("RGB")` does.
"""
_ADAPTER = """\
{base}
from peft import PeftModel

model = PeftModel.from_pretrained(base, "adapter")"""
_MODEL = """\
from transformers import VisionEncoderDecoderModel

model = VisionEncoderDecoderModel.from_pretrained("model")"""


def export(captioner: Captioner, run: Path) -> Path:
    """Write `adapter/` or, where everything was trained, `model/` into the run's folder.

    Returns:
        the folder; its README.md holds the lines that open it from within the run's folder.
    """
    network = captioner.network
    adapted = isinstance(network, PeftModel)
    folder = run / ("adapter" if adapted else "model")
    temporary = run / f"{folder.name}.new"
    shutil.rmtree(temporary, ignore_errors=True)
    if adapted:
        network.save_pretrained(temporary)
        code = _ADAPTER.format(base=captioner.base_code)
        title = "A LoRA adapter"
    else:
        temporary.mkdir()
        captioner.save_network(temporary)
        code, title = _MODEL, "A captioner, trained in full"
    captioner.save_settings(temporary)
    (temporary / "README.md").write_text(
        _README.format(title=title, code=code + captioner.opening_code, folder=folder.name), encoding="utf-8"
    )
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return folder
