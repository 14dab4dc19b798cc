"""The best weights in formats that need no rococap: PEFT's for an adapter, Hugging Face's for a whole model."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from rococap.models.base import Model
from rococap.types import UserError

_README = """\
# {title}

Trained with rococap. Not for clinical use.

```python
{code}
model.eval()
```

{use}:

```python
{example}
```

`rococap` reads images of more kinds (16-bit, CMYK, transparent) than `convert("RGB")` does.
"""
_ADAPTER = """\
{base}
from peft import PeftModel

model = PeftModel.from_pretrained(base, "adapter")"""


def export(captioner: Model, run: Path) -> Path:
    """Write `adapter/` or, where everything was trained, `model/` into the run's folder.

    Returns:
        the folder; its README.md holds the lines that open it from within the run's folder.
    """
    folder = run / ("adapter" if isinstance(captioner.network, PeftModel) else "model")
    temporary = run / f"{folder.name}.new"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _write(captioner, temporary, folder.name)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(f"{folder} cannot be written ({error}).\nFree some space. The same command goes on.") from error
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return folder


def _write(captioner: Model, temporary: Path, name: str) -> None:
    """Write what will be called so, and see to it that it is on the disk."""
    network = captioner.network
    if isinstance(network, PeftModel):
        network.save_pretrained(temporary)
        _add_bare(network, temporary / "adapter_model.safetensors")
        code = _ADAPTER.format(base=captioner.base_code)
        title = "A LoRA adapter"
    else:
        temporary.mkdir()
        captioner.save_network(temporary)
        code, title = captioner.whole_code(name), "A model, trained in full"
    captioner.save_settings(temporary)
    example = captioner.example_code(name).rstrip()
    readme = _README.format(title=title, code=code + captioner.opening_code, use=captioner.use, example=example)
    (temporary / "README.md").write_text(readme, encoding="utf-8")
    for file in temporary.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())


def _add_bare(network: PeftModel, file: Path) -> None:
    """PEFT writes factors and whole modules only; it reads every parameter by its name."""
    trained = {name: p.detach().cpu() for name, p in network.named_parameters() if p.requires_grad}
    bare = {name: p for name, p in trained.items() if ".lora_" not in name and ".modules_to_save." not in name}
    if bare:
        save_file({**load_file(file), **bare}, file, metadata={"format": "pt"})
