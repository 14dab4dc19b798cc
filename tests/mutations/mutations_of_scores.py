"""Mistakes in what is said of a run: metrics, intervals, baselines, comparisons, pages."""

from mutation import Mutation as M

BASELINES = "rococap/evaluation/baselines.py"
BLIND = "rococap/metrics/blind.py"
BOOTSTRAP = "rococap/metrics/bootstrap.py"
SIGNATURE = "rococap/metrics/signature.py"
GUARDS = "rococap/metrics/guards.py"
CIDER = "rococap/metrics/cider.py"
BLEU = "rococap/metrics/bleu.py"
SIGNIFICANCE = "rococap/compare/significance.py"
SLICES = "rococap/evaluation/slices.py"
SUBMISSION = "rococap/evaluation/submission.py"
FINDING = "rococap/report/finding.py"
GALLERY = "rococap/report/gallery.py"
TOTAL = "total = total + features.double().sum(dim=0).cpu()"

SCORES = [
    M(
        "the prior of one image",
        BASELINES,
        TOTAL,
        "total = features.double()[-1].cpu()",
        "evaluation/test_baselines.py",
    ),
    M(
        "the prior of the first image",
        BASELINES,
        "(total / len(found)).float()",
        "features[0].cpu()",
        "evaluation/test_baselines.py",
    ),
    M(
        "the prior of test images",
        BASELINES,
        "asked, _ = self._features(self.split)",
        "asked, mean = self._features(self.split)",
        "evaluation/test_baselines.py",
    ),
    M("the farthest training image", BASELINES, ".argmax(dim=1)", ".argmin(dim=1)", "evaluation/test_baselines.py"),
    M(
        "the rarest caption",
        BASELINES,
        'common = mode(self.data.answer(example) or "" for example in self.data.examples("train"))',
        'common = self.data.examples("train")[1].captions[0]',
        "evaluation/test_baselines.py",
    ),
    M(
        "baselines do not hang on decoding",
        BASELINES,
        'groups = ("model", "precision", "decoding", ',
        'groups = ("model", "precision", ',
        "evaluation/test_baselines.py",
    ),
    M(
        "blind captions on their own images",
        BLIND,
        "while (order == true).any():",
        "while False:",
        "metrics/test_blind.py",
    ),
    M("gain the wrong way round", BLIND, '"_gain": score - blind', '"_gain": blind - score', "metrics/test_blind.py"),
    M(
        "differences are not paired",
        BOOTSTRAP,
        "draw = np.random.default_rng(seed)",
        "draw = np.random.default_rng()",
        "metrics/test_bootstrap.py",
    ),
    M(
        "intervals of 90 %",
        BOOTSTRAP,
        "[(1 - LEVEL) / 2, (1 + LEVEL) / 2]",
        "[1 - LEVEL, LEVEL]",
        "metrics/test_bootstrap.py",
    ),
    M(
        "resamples without replacement",
        BOOTSTRAP,
        "draw.integers(images, size=(size, images))",
        "np.stack([draw.permutation(images) for _ in range(size)])",
        "metrics/test_bootstrap.py",
    ),
    *(
        M(f"signature without {what}", SIGNATURE, f"        {line},\n", "", "metrics/test_signature.py")
        for what, line in (
            ("number", 'f"n:{len(ids)}"'),
            ("split", 'f"split:{split}"'),
            ("tokenizer", "metric.tokenizer.name"),
            ("settings", "*metric.settings(scored or len(ids))"),
            ("scorers", '*(f"{package}:{version(package)}" for package in metric.scorers)'),
            ("revision", 'f"rococap:{REVISION}"'),
            ("references", 'f"data:{fingerprint(ids, references)}"'),
        )
    ),
    M(
        "CIDEr without its clip",
        CIDER,
        "np.minimum(ours[left], theirs[right]) * theirs[right]",
        "ours[left] * theirs[right]",
        "metrics/test_parity.py -knasty",
    ),
    M(
        "CIDEr of predictions' frequencies",
        CIDER,
        "_idf(references.grouped(groups))",
        "_idf(predictions)",
        "metrics/test_parity.py -knasty",
    ),
    M(
        "CIDEr without its penalty on length",
        CIDER,
        "10 * cosines.mean(axis=1) * penalty",
        "10 * cosines.mean(axis=1)",
        "metrics/test_parity.py -knasty",
    ),
    M(
        "BLEU takes the longer of two references",
        BLEU,
        "np.lexsort((references, distance, groups))",
        "np.lexsort((-references, distance, groups))",
        "metrics/test_parity.py -knasty",
    ),
    M(
        "BLEU without brevity",
        BLEU,
        "np.minimum(0.0, 1 - 1 / ratio)",
        "np.zeros_like(ratio)",
        "metrics/test_parity.py -knasty",
    ),
    M(
        "ROUGE-L without its longest reference",
        "rococap/metrics/rouge_l.py",
        "np.maximum.reduceat(common / theirs, starts)",
        "np.minimum.reduceat(common / theirs, starts)",
        "metrics/test_parity.py -knasty",
    ),
    M(
        "a caption just at its limit is not cut",
        GUARDS,
        "length >= limit for length",
        "length > limit for length",
        "metrics/test_guards.py",
    ),
    M("repeats are not seen", GUARDS, "return len(set(grams)) < len(grams)", "return False", "metrics/test_guards.py"),
    M(
        "seeds count for nothing",
        SIGNIFICANCE,
        "variance = images + part.excess + parts[to].excess",
        "variance = images",
        "compare/test_significance.py compare/test_comparison.py",
    ),
    M(
        "many comparisons, no correction",
        SIGNIFICANCE,
        "np.sqrt(2) * quotient, settings, freedom",
        "np.sqrt(2) * quotient, 2, freedom",
        "compare/test_significance.py compare/test_comparison.py",
    ),
    M(
        "images of two runs are not paired",
        SIGNIFICANCE,
        "np.var(drawn.mean(axis=1) - draws[to].mean(axis=1), ddof=1)",
        "np.var(drawn.mean(axis=1), ddof=1) + np.var(draws[to].mean(axis=1), ddof=1)",
        "compare/test_significance.py compare/test_comparison.py",
    ),
    M(
        "runs of other test images are compared",
        "rococap/compare/gather.py",
        "if reason := difference(signed.values()):",
        'if reason := "":',
        "compare/test_comparison.py",
    ),
    M(
        "captions that were changed are compared",
        "rococap/compare/gather.py",
        "if not np.isclose(value, rows[name].value, rtol=1e-9, atol=1e-12):",
        "if False:",
        "compare/test_comparison.py",
    ),
    M(
        "the band without other images",
        "rococap/compare/power_law.py",
        "curves = fit(points.fractions, moved)(grid)",
        "curves = fit(points.fractions, moved[:2])(grid)",
        "compare/test_power_law.py",
    ),
    M(
        "automatic concepts make parts",
        SLICES,
        "for concept in prediction.concepts if concept.manual}",
        "for concept in prediction.concepts}",
        "evaluation/test_slices.py",
    ),
    M(
        "a caption of 10 words is of the next part",
        SLICES,
        "sum(words > edge for edge in WORDS)",
        "sum(words >= edge for edge in WORDS)",
        "evaluation/test_slices.py",
    ),
    M(
        "any order is official",
        SUBMISSION,
        "        if name != expected:\n",
        "        if False:\n",
        "evaluation/test_submission.py",
    ),
    M(
        "quotation marks break a submission",
        SUBMISSION,
        "text.replace('\"', '\"\"')",
        "text",
        "evaluation/test_submission.py",
    ),
    M(
        "the worst are shown as the best",
        GALLERY,
        "key=lambda index: -shown[index].scores[metric]",
        "key=lambda index: shown[index].scores[metric]",
        "report/test_gallery.py",
    ),
    M(
        "elsewhere is also here",
        FINDING,
        "if kind == kinds[index] and other != index]",
        "if kind == kinds[index]]",
        "report/test_attention.py",
    ),
    M(
        "a fact said in two ways is said",
        "rococap/metrics/facts.py",
        "for fact, said in values.items() if len(said) == 1}",
        "for fact, said in values.items()}",
        "metrics/test_facts.py",
    ),
]
