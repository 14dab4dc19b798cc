"""Caption image files with a run's best checkpoint: `python scripts/caption.py --run DIR IMAGE...`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rococap.cli import user_errors


@user_errors()
def main() -> None:
    """Prints `file<TAB>caption` for each image; an unreadable one is named on stderr and makes the exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="a run's folder, such as multirun/NAME")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    arguments = parser.parse_args()

    from rococap.evaluation.evaluate import caption_images

    unreadable = False
    for image, caption in caption_images(arguments.run, arguments.images):
        if isinstance(caption, str):
            print(f"{image}\t{caption}", flush=True)
        else:
            print(f"error: {caption}", file=sys.stderr)
            unreadable = True
    sys.exit(int(unreadable))


if __name__ == "__main__":
    main()
