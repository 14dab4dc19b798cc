"""Mistakes in reading pictures."""

from mutation import Mutation as M

DECODE = "rococap/data/pictures/decode.py"
DEEP = "rococap/data/pictures/deep.py"
PNG = "rococap/data/pictures/png.py"
TIFF = "rococap/data/pictures/tiff.py"
DICOM = "rococap/data/pictures/dicom.py"
TESTS = "data/pictures"

PICTURES = [
    M("deep images cut to 8 bits", DEEP, "255 / span if span else 0.0", "1.0", "data/test_image.py"),
    M(
        "images not turned upright",
        DECODE,
        "upright = flat.transpose(turn) if turn is not None else flat",
        "upright = flat",
        "data/test_image.py",
    ),
    M("transparent on white", DECODE, "(0, 0, 0, 255)", "(255, 255, 255, 255)", "data/test_image.py"),
    M("high bytes of colours alone", PNG, "values = high << 8 | low", "values = high << 8", TESTS),
    M("high bytes of grey and alpha alone", PNG, "<< 8 | pairs[..., 1::2]", "<< 8", TESTS),
    M("high bytes of TIFFs alone", TIFF, "values = high << 8 | low", "values = high << 8", TESTS),
    M("transparent levels not widened", PNG, "* 255 // (2**self._depth - 1)", "* 1", TESTS),
    M("broken metadata is kept", PNG, "(turning and _harmless(start, chunk))", "turning", TESTS),
    M("all texts are kept", PNG, "kind in _TEXTS and chunk[8:].startswith(_TURNING)", "kind in _TEXTS", TESTS),
    M("no text turns", PNG, '(b"Raw profile type exif\\0", b"XML:com.adobe.xmp\\0")', '(b"\\0",)', TESTS),
    M("signs are lost", TIFF, '(2, 16): "i2"', '(2, 16): "u2"', TESTS),
    M("32 bits are signed", TIFF, '(1, 32): "u4"', '(1, 32): "i4"', TESTS),
    M(
        "the file's order where it is packed",
        TIFF,
        '"=" if packed or bits[0] == 12 else',
        '"=" if bits[0] == 12 else',
        TESTS,
    ),
    M("little endian only", TIFF, 'else "<" if tags._endian == "<" else ">"', 'else "<"', TESTS),
    M("white is never zero", DEEP, "if deep.white_is_zero:", "if False:", TESTS),
    M("palettes of 8 bits are black", TIFF, "tags[plugin.COLORMAP]) < 256", "tags[plugin.COLORMAP]) < 0", TESTS),
    M("coarse colours are read", TIFF, "(2, 2))) != (1, 1)", "(2, 2))) == ()", TESTS),
    M("premultiplied twice", TIFF, "== (_PREMULTIPLIED,):", "== ():", TESTS),
    M("few levels stay few", DEEP, "if levels > FEW:", "if True:", TESTS),
    M("all pictures are windowed", DEEP, "if levels > FEW:", "if False:", TESTS),
    M("signed values are never seen", DEEP, 'if values.dtype.kind == "u":', 'if values.dtype.kind == "?":', TESTS),
    M("a marker makes values signed", DEEP, "shown.stop - shown.start + _MARKERS:", "shown.stop - shown.start:", TESTS),
    M("markers within the window", DEEP, "steps > _FAR * steps.sum()", "steps > steps.sum()", TESTS),
    M(
        "what is no number counts",
        DEEP,
        "finite = values[np.isfinite(values)]",
        "finite = np.nan_to_num(values)",
        TESTS,
    ),
    M("the whole range of a window", DICOM, "center - 0.5 - (width - 1) / 2,", "center - width,", TESTS),
    M("dark is bright", DICOM, '== "MONOCHROME1":', '== "MONOCHROME2":', TESTS),
    M(
        "overlays are pixels",
        DICOM,
        "return (values if photometric",
        "return (values if photometric or photometric",
        TESTS,
    ),
    M("padding is a part of the picture", DICOM, "% whole <= abs(last - first)", "% whole < 0", TESTS),
    M("windows go before tables", DICOM, "if not tables:", "if tables:", TESTS),
    M("burned in names are read", DICOM, '== "YES" and not view.burned_in', '== "Y" and not view.burned_in', TESTS),
    M("the first frame of all", DICOM, 'frames // 2 if view.frame == "middle" else 0', "0", TESTS),
    M("frames have no windows", DICOM, "if name in found[0]:", "if name in ():", TESTS),
    M("16-bit palettes cut", DICOM, "255 if values.max() < 256 else 65535", "255", TESTS),
    M(
        "other views are one dataset",
        "rococap/data/splits.py",
        "digest.update(repr(view).encode())",
        "pass",
        "data/test_dicom_sets.py",
    ),
    M(
        "files without suffix are left out",
        "rococap/data/image.py",
        "return is_dicom(file.read(",
        "return not (file.read(",
        "data/test_dicom_sets.py",
    ),
    M(
        "windows are not told",
        "rococap/data/doctor/look.py",
        'row["windowed"] = shown.windowed',
        'row["windowed"] = False',
        "data/test_doctor.py",
    ),
]
