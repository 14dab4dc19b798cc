"""The facts of a phantom image and the words that say them: shared by who writes captions and who reads them."""

from __future__ import annotations

Facts = dict[str, str]  # a value for each fact that is stated, in the terms of WORDS

# fact -> value -> the words that state it. The first is the plainest; any of them may be written and all are read.
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "modality": {
        "ct": ("CT", "computed tomography"),
        "radiograph": ("radiograph", "X-ray", "plain film"),
        "ultrasound": ("ultrasound", "sonogram", "ultrasonography"),
    },
    "kind": {
        "none": ("normal", "no abnormality", "no focal lesion", "unremarkable"),
        "hemorrhage": ("hemorrhage", "hemorrhages"),
        "infarct": ("infarct", "infarcts"),
        "abscess": ("abscess", "abscesses"),
        "calcification": ("calcification", "calcifications"),
        "nodule": ("nodule", "nodules"),
        "consolidation": ("consolidation", "consolidations"),
        "cavity": ("cavity", "cavities"),
        "cyst": ("cyst", "cysts"),
    },
    "count": {
        "one": ("a", "an", "one", "single", "solitary"),
        "two": ("two", "pair"),
        "three": ("three",),
    },
    "size": {
        "small": ("small", "tiny"),
        "large": ("large", "big"),
    },
    "side": {
        "right": ("right",),
        "left": ("left",),
    },
    "place": {
        "frontal": ("frontal",),
        "parietal": ("parietal",),
        "occipital": ("occipital",),
        "upper": ("upper", "apical"),
        "middle": ("middle", "mid"),
        "lower": ("lower", "basal"),
        "superficial": ("superficial", "anterior"),
        "deep": ("deep", "posterior"),
    },
}

# Where a finding of each modality may lie.
PLACES = {
    "ct": ("frontal", "parietal", "occipital"),
    "radiograph": ("upper", "middle", "lower"),
    "ultrasound": ("superficial", "deep"),
}
