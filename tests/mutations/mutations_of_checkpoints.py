"""What is read of published checkpoints, and written as adapters."""

from mutation import Mutation as M

LORA = "rococap/models/lora.py"
PROCESSOR = "rococap/models/processor.py"

CHECKPOINTS = [
    M(
        "parameters of no module stay frozen with the tower",
        LORA,
        "if trains and not within(name, whole):",
        "if trains and within(name, whole):",
        "models/test_conformance.py -kblip2",
    ),
    M(
        "parameters of no module left out of the adapter",
        "rococap/models/export.py",
        "    if bare:",
        "    if not bare:",
        "models/test_conformance.py -kblip2",
    ),
    M(
        "a grid is believed that the tower does not give",
        "rococap/models/vlm_probe.py",
        "captioner.grid = captioner.full_grid = None",
        "pass",
        "models/test_vlm.py",
    ),
    M(
        "what a class of image processors means is not asked",
        PROCESSOR,
        "return {**{name: value for name, value in meant.items() if value is not None}, **said}",
        "return said",
        "models/test_published_files.py -kunsaid",
    ),
    M(
        "pointers of Git LFS pass for files",
        "rococap/models/hub.py",
        'return file.read_bytes().startswith(b"version https://git-lfs")',
        "return False",
        "models/test_published_files.py -kpointers",
    ),
]
