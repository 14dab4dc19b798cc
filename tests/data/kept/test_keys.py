"""Every field of a key counts."""

from dataclasses import fields, replace

import pytest
from standin import Words

from rococap.data.kept import keys

IMAGES = keys.Images("dataset", (224, 224), "method")
LOOKS = keys.Looks("dataset")
KEYS = [
    IMAGES,
    keys.Features(IMAGES, "weights", {"mean": (0.5,), "std": (0.5,), "scale": 1 / 255, "side": 7}, "fp32", "float16"),
    LOOKS,
    keys.Copies(LOOKS),
    keys.Captions("dataset", {"fraction": 0.1}, "weights", {"side": 7}, {"model": {"path": "x"}}, "fp32", "cpu"),
    keys.Scores({"bleu": "n:5|refs:1"}),
    keys.Checksums("place"),
    keys.Shard("https://host/train-000000.tar"),
    keys.ShardIndex(keys.Shard("https://host/train-000000.tar"), "1024 bytes"),
    keys.Parts("dataset", "weights", {"model": {"path": "x"}}, "fp32", "cpu", "code"),
]
FIELDS = [(key, field.name) for key in KEYS for field in fields(key)]
named = [f"{type(key).__name__}.{name}" for key, name in FIELDS]


def others(value):
    """The same kind of value, otherwise; of several parts each in turn."""
    match value:
        case keys.Key():
            return [
                replace(value, **{field.name: other})
                for field in fields(value)
                for other in others(getattr(value, field.name))
            ]
        case dict():
            changed = [{**value, name: other} for name, each in value.items() for other in others(each)]
            return [*changed, {**value, "new": 1}, {}]
        case tuple():
            return [(*value[:at], value[at] + 1, *value[at + 1 :]) for at in range(len(value))]
        case str():
            return [f"{value}2"]
    return [value + 1]


def test_every_kind_of_key_is_here():
    made = {kind for kind in vars(keys).values() if isinstance(kind, type) and issubclass(kind, keys.Key)}
    assert {type(key) for key in KEYS} == made - {keys.Key, keys.OfDataset}
    assert {type(key).__name__ for key in KEYS} == keys.FORMATS.keys()


@pytest.mark.parametrize(("key", "name"), FIELDS, ids=named)
def test_another_value_of_a_field_is_another_key(key, name):
    changed = [replace(key, **{name: other}) for other in others(getattr(key, name))]
    digests = {each.digest() for each in (key, *changed)}
    assert changed and len(digests) == 1 + len(changed)
    assert key.digest() == replace(key).digest()
    if hasattr(key, "folder"):
        assert len({each.folder for each in (key, *changed)}) == 1 + len(changed)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: type(key).__name__)
def test_another_format_is_another_key_of_it_and_of_what_hangs_on_it(key, monkeypatch):
    before = {type(each): each.digest() for each in KEYS}
    monkeypatch.setitem(keys.FORMATS, type(key).__name__, 99)
    after = {type(each): each.digest() for each in KEYS}
    changed = {kind for kind in before if before[kind] != after[kind]}
    hanging = {keys.Images: {keys.Features}, keys.Looks: {keys.Copies}, keys.Shard: {keys.ShardIndex}}
    assert changed == {type(key), *hanging.get(type(key), ())}


def test_images_are_told_apart_by_how_they_are_resized():
    from PIL.Image import Resampling

    processors = [Words(), Words(image_size=(48, 32)), Words(resample=Resampling.NEAREST)]
    assert len({keys.Images.of("dataset", processor).digest() for processor in processors}) == 3
    assert keys.Images.of("dataset", Words()) == keys.Images.of("dataset", Words())
