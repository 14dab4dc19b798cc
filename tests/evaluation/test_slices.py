import numpy as np

from rococap.data.phantom.source import Phantom
from rococap.evaluation.slices import MODALITIES, REGIONS, slices
from rococap.types import Concept, Prediction

CT, CHEST = Concept("C0040405", "", True), Concept("C0817096", "", True)


def of(predictions):
    return {name: found.tolist() for name, found in slices(predictions).items()}


def test_parts_are_by_what_is_known_of_an_image():
    predictions = [
        Prediction("a_2023_001", "", ("one two",), (CT, CHEST), "CC BY-NC [Doe et al.]"),
        Prediction("a_2023_002", "", ("w " * 21,), (CT, Concept("C0032743", "", True)), "CC BY or CC BY-NC"),
        Prediction("b-17", "", ("w " * 200, "one"), (Concept("C0024485"),)),  # not assigned by a person
        Prediction("18", "", ("w " * 10,), (), "all rights reserved"),
    ]
    assert of(predictions) == {
        "modality=CT": [0, 1],
        "modality=PET": [1],
        "region=chest": [0],
        "words=1-10": [0, 3],
        "words=21-40": [1],
        "words=41 or more": [2],
        "licence=CC BY or CC BY-NC": [1],
        "licence=CC BY-NC": [0],
        "source=a": [0, 1],
        "source=b": [2],
    }


def test_what_all_images_share_is_no_part():
    assert of([Prediction(f"x{i}", "", ("a b",), (CT,), "CC0") for i in range(3)]) == {}


def test_the_phantom_has_its_modalities_and_regions():
    examples = Phantom(train=1, valid=1, test=60, seed=0).examples("test")
    parts = slices([Prediction(e.id, "", e.captions, e.concepts) for e in examples])
    assert np.array_equal(parts["modality=X-ray"], parts["region=chest"])
    facts = [e.image.facts()["modality"] for e in examples]
    assert parts["modality=ultrasound"].tolist() == [i for i, said in enumerate(facts) if said == "ultrasound"]
    assert sum(len(found) for name, found in parts.items() if name.startswith("modality=")) == 60
    assert not MODALITIES.keys() & REGIONS.keys()
