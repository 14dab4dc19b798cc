"""Write LLaVA-Med, as Microsoft published it, in the format that transformers opens:

python scripts/convert_llava_med.py --path microsoft/llava-med-v1.5-mistral-7b --out llava-med

Then: LlavaForConditionalGeneration.from_pretrained("llava-med"), AutoProcessor.from_pretrained("llava-med").
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rococap.cli import user_errors


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", required=True, help="a name on the Hugging Face hub, or a directory")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new or empty directory")
    parser.add_argument("--vision-tower", help="the CLIP that it sees with; else its own, or the one it names")
    return parser.parse_args()


def main() -> None:
    """Convert one checkpoint."""
    arguments = parse_arguments()
    from rococap.models.llava_med import convert

    convert(arguments.path, arguments.out, arguments.vision_tower)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    with user_errors():
        main()
