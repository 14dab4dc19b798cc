"""Caption image files: with a run's best checkpoint, or with a published model as it is.

python scripts/caption.py --run DIR IMAGE...
python scripts/caption.py --model blip [setting=value ...] IMAGE...

A model takes the settings of train.py, such as model.path=DIR or decoding.num_beams=3.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from rococap.cli import add_trust, printable, user_errors

CONF = Path(__file__).resolve().parents[1] / "conf"
SETTING = re.compile(r"[+~]{0,2}[a-z_]+(\.[a-z_]+)*=.*")


@user_errors()
def main() -> None:
    """Prints `file<TAB>caption` for each image; an unreadable one is named on stderr and makes the exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, metavar="DIR", help="a run's folder, such as multirun/NAME")
    source.add_argument("--model", metavar="NAME", help="one of conf/model")
    parser.add_argument("words", nargs="+", metavar="IMAGE", help="image files; with --model also settings of train.py")
    parser.add_argument("--frame", default="first", help="of a DICOM file with several: first, or middle")
    parser.add_argument(
        "--burned-in", action="store_true", help="read DICOM files too that say that names are drawn into their pixels"
    )
    add_trust(parser)
    arguments = parser.parse_intermixed_args()
    settings = [word for word in arguments.words if arguments.model and SETTING.fullmatch(word)]
    images = [Path(word) for word in arguments.words if word not in settings]
    if not images:
        parser.error("no image file was given")
    from rococap.data.pictures.dicom import View

    view = View(arguments.frame, arguments.burned_in)
    if arguments.run:
        from rococap.evaluation.evaluate import caption_images

        captions = caption_images(arguments.run, images, view, trusted=arguments.trust)
    else:
        from rococap.evaluation.untrained import caption_untrained

        captions = caption_untrained(CONF, [f"model={arguments.model}", *settings], images, view)
    unreadable = False
    for image, caption in captions:
        if isinstance(caption, str):
            line = printable(caption).replace("\t", " ").replace("\n", " ")
            print(f"{printable(image)}\t{line}", flush=True)
        else:
            print(f"error: {printable(caption)}", file=sys.stderr)
            unreadable = True
    sys.exit(int(unreadable))


if __name__ == "__main__":
    main()
