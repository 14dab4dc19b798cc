"""Mistakes in what is learnt from: orders, parts, leaks, what is kept, what is damaged."""

from mutation import Mutation as M

KEYS = "rococap/data/kept/keys.py"
FEATURES = "rococap/data/kept/features.py"
CHUNKS = "rococap/data/kept/chunks.py"
SAMPLER = "rococap/data/sampler.py"
SUBSET = "rococap/data/subset.py"
LEAKS = "rococap/data/doctor/leaks.py"
COPIES = "rococap/data/doctor/copies.py"
IMAGE = "rococap/data/image.py"
IDS, DELIMITED = "rococap/data/ids.py", "rococap/data/delimited.py"
FIELD = "getattr(self, field.name) for field in fields(self)}"
KEY = "keys.Features(images, self.weights, self.encoding, self.arithmetic, np.dtype(self.dtype).name)"

DATA = [
    *(
        M(f"keys without {field}", KEYS, FIELD, f'{FIELD[:-1]} if field.name != "{field}"}}', "data/kept/test_keys.py")
        for field in ("dtype", "arithmetic", "encoding", "weights", "method", "chosen")
    ),
    M(
        "keys without their format",
        KEYS,
        "json.dumps([kind, FORMATS[kind], plain], sort_keys=True)",
        "json.dumps([kind, plain], sort_keys=True)",
        "data/kept/test_keys.py data/test_damage.py",
    ),
    M(
        "features of one arithmetic serve another",
        FEATURES,
        KEY,
        KEY.replace("self.arithmetic", '"fp32"'),
        "data/kept/test_features.py",
    ),
    M(
        "features of one dtype serve another",
        FEATURES,
        KEY,
        KEY.replace("np.dtype(self.dtype).name", '"float16"'),
        "data/kept/test_features.py",
    ),
    M(
        "a changed image file goes unnoticed",
        "rococap/data/kept/checksums.py",
        "f.st_mtime_ns, f.st_ctime_ns)",
        "f.st_mtime_ns)",
        "data/kept/test_checksums.py",
    ),
    M(
        "a file that is being written counts as read",
        "rococap/data/kept/checksums.py",
        "state.changed < begun - SETTLED",
        "True",
        "data/kept/test_checksums.py",
    ),
    M(
        "a copied dataset is another one",
        "rococap/data/splits.py",
        "e.attribution, e.group, checksum)).encode()",
        "e.attribution, e.group, checksum, str(e.image))).encode()",
        "data/kept/test_checksums.py",
    ),
    M(
        "a TIFF is mapped into memory",
        IMAGE,
        "return (self.path,)\n",
        "return (self.path,)\n\n    def open(self):\n        return Image.open(self.path)\n",
        "data/test_image.py",
    ),
    M(
        "changed bytes are not noticed",
        CHUNKS,
        "return _checksum(self.read()) == self.checksum",
        "return True",
        "data/kept/test_images.py data/kept/test_features.py data/test_doctor.py",
    ),
    M(
        "a torn file is read",
        CHUNKS,
        "if array.shape != (len(ids), *shape) or array.dtype != dtype or len(checksums) != len(ids):",
        "if False:",
        "data/kept/test_chunks.py",
    ),
    M(
        "an index repeated and one dropped",
        SAMPLER,
        "order = random.permutation(len(self.lengths))",
        "order = random.integers(len(self.lengths), size=len(self.lengths))",
        "data/test_sampler.py",
    ),
    M("the last part dropped", SAMPLER, " + [count % size] * (count % size > 0)", "", "data/test_sampler.py"),
    M(
        "order not by epoch",
        SAMPLER,
        "default_rng([self.seed, self.epoch])",
        "default_rng(self.seed)",
        "data/test_sampler.py",
    ),
    M(
        "order not by seed",
        SAMPLER,
        "default_rng([self.seed, self.epoch])",
        "default_rng(self.epoch)",
        "data/test_sampler.py",
    ),
    M(
        "every process takes the same",
        SAMPLER,
        "batch[self.rank :: self.world]",
        "batch[0 :: self.world]",
        "data/test_sampler.py",
    ),
    M(
        "batches of any lengths",
        SAMPLER,
        'part[np.argsort(self.lengths[part], kind="stable")]',
        "part",
        "data/test_sampler.py",
    ),
    M("a share counted in floating point", SUBSET, "Fraction(str(fraction))", "fraction", "data/test_subset.py"),
    M(
        "a share in another order",
        SUBSET,
        "        count += 1\n    return [examples[index] for index in sorted(ranks[:count])]",
        "        count += 1\n    return [examples[index] for index in ranks[:count]]",
        "data/test_subset.py",
    ),
    M("a share that ignores its seed", SUBSET, 'f"{seed}:{name}"', "name", "data/test_subset.py"),
    M(
        "leaks into valid are not dropped",
        LEAKS,
        'for held in ("valid", "test") for name',
        'for held in ("test",) for name',
        "data/test_doctor.py",
    ),
    M(
        "no copy is found unless it is equal",
        COPIES,
        "MOST_BITS = 8",
        "MOST_BITS = -1",
        "data/test_copies.py data/test_doctor.py",
    ),
    M(
        "copies are searched too narrowly",
        COPIES,
        "LEAST_AGREEMENT = 0.9\n",
        "LEAST_AGREEMENT = 0.97\n",
        "data/test_copies.py data/test_doctor.py",
    ),
    M(
        "two patients are one",
        COPIES,
        "LEAST_AGREEMENT = 0.9\n",
        "LEAST_AGREEMENT = 0.5\n",
        "data/test_copies.py data/test_doctor.py",
    ),
    M(
        "a group of copies loses its members",
        COPIES,
        "return [(images, least[first]) for first, images in members.items()]",
        "return [(images[:2], least[first]) for first, images in members.items()]",
        "data/test_copies.py data/test_doctor.py",
    ),
    M(
        "images of one split alone are searched",
        "rococap/data/doctor/leaks.py",
        "for split in looks for name in looks[split].ids]",
        "for split in looks for name in looks[split].ids[:1]]",
        "data/test_doctor.py",
    ),
    M(
        "patients are parted",
        "rococap/data/own.py",
        'lines[index].group or f"image {lines[index].id}"',
        'f"image {lines[index].id}"',
        "data/test_table.py",
    ),
    M(
        "splits hang on the order of lines",
        "rococap/data/division.py",
        "order = sorted(sizes, key=",
        "order = sorted(sizes, key=lambda group: groups.index(group)) or sorted(sizes, key=",
        "data/test_table.py",
    ),
    M(
        "an image of a patient that is trained on goes unnoticed",
        "rococap/data/own.py",
        'trained if split != "train" else set()',
        "set()",
        "data/test_table.py",
    ),
    M(
        "images elsewhere that have one name are one",
        "rococap/data/lines.py",
        "if len(found) > 1:",
        "if len(found) > 1_000:",
        "data/test_lines.py",
    ),
    M(
        "a caption of test is trained on",
        "rococap/data/lines.py",
        "said.setdefault(line.id, split) != split",
        "said.setdefault(line.id, split) == ''",
        "data/test_lines.py",
    ),
    M(
        "two files of one name are one",
        "rococap/data/image_files.py",
        "names[short] = None if short in names else image",
        "names[short] = image",
        "data/test_table.py",
    ),
    M("bombs are opened", IMAGE, "> MAX_PIXELS:\n", "> 10 * MAX_PIXELS:\n", "data/test_damage.py"),
    M(
        "ids padded by zeros are one",
        IDS,
        "keys[plain] = None if plain in keys else name",
        "keys[plain] = name",
        "data/test_ids.py",
    ),
    M(
        "rows may be swallowed",
        DELIMITED,
        "if len(fields) == len(rows[0][1]) and like.fits(fields[0].strip()):",
        "if len(fields) > len(rows[0][1]) and like.fits(fields[0].strip()):",
        "data/test_delimited.py",
    ),
    M(
        "half unpacked files are taken",
        "rococap/data/layout.py",
        "there.path.stat().st_size != size:",
        "there.path.stat().st_size > size:",
        "data/test_places.py",
    ),
    M(
        "any share of the images may be missing",
        "rococap/data/complete.py",
        "missing.share > REFUSED and not allowed",
        "missing.share > 2 * REFUSED and not allowed",
        "data/test_datamodule.py",
    ),
    M(
        "lines of too many fields are read",
        DELIMITED,
        "if len(fields) == len(header):",
        "if len(fields) >= len(header):",
        "data/test_rocov2.py data/test_damage.py",
    ),
    M(
        "a caption of the other side",
        "rococap/data/phantom/source.py",
        'anatomy.centres[facts["side"], facts["place"]]',
        'anatomy.centres["left", facts["place"]]',
        "data/phantom/test_source.py",
    ),
    M(
        "width and height swapped",
        "rococap/models/processor.py",
        "whole.resize((width, height), Resampling(self.resample))",
        "whole.resize((height, width), Resampling(self.resample))",
        "models/test_processor.py",
    ),
]
