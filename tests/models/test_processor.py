import numpy as np
from PIL import Image

from rococap.models.processor import ImageSettings


def test_an_image_is_as_high_and_as_wide_as_the_model_sees_it():
    """No checkpoint of these tests sees other than squares."""
    settings = ImageSettings((32, 48), Image.Resampling.BICUBIC, 1 / 255, (0.5,) * 3, (0.5,) * 3)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8))
    pixels = settings.pixels(image)
    assert pixels.shape == (3, 32, 48) and pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[1], np.asarray(image.resize((48, 32), Image.Resampling.BICUBIC))[..., 1])
