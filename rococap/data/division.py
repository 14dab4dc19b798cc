"""A dataset without splits gets some: whole groups each, such as all images of a patient, the same on every machine."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from rococap.types import Split, UserError


def divide(groups: Sequence[str], shares: Mapping[Split, float], seed: int) -> list[Split]:
    """The split of each image, by the group of each; what no share asks for trains.

    Args:
        shares: of the images, of the splits to be made. A group that is larger than a split trains.

    Raises:
        UserError: a share is no share, or there are too few groups.
    """
    for split, share in shares.items():
        if not 0 < share < 1:
            raise UserError(f"data.source.{split}={share} is no share of the images: 0 < data.source.{split} < 1.")
    sizes = Counter(groups)
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    places: dict[str, Split] = {}
    for split, share in shares.items():
        wanted, count = math.ceil(share * len(groups)), 0
        for group in order:
            if group not in places and count + sizes[group] <= wanted:
                places[group] = split
                count += sizes[group]
        smallest = min((group for group in order if group not in places), key=lambda group: sizes[group], default=None)
        if count == 0 and smallest is not None:
            places[smallest] = split
    made = {places.get(group, "train") for group in order}
    if missing := {"train", *shares} - made:
        raise UserError(
            f"{len(groups):,} images of {len(order):,} groups (patients, articles) are too few to make "
            f"{' and '.join(sorted(missing))} of.\nAdd some, or give a column that says the split."
        )
    return [places.get(group, "train") for group in groups]
