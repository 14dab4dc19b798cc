"""Mistakes where captions are judged: by readers, by programs of others, by a model at an address."""

from mutation import Mutation as M

KEY = "rococap/study/key.py"
RETURNED = "rococap/study/returned.py"
OUTCOME = "rococap/study/scores.py"
OUTSIDE = "rococap/metrics/outside.py"
JUDGE = "rococap/metrics/judge.py"
CHAT = "rococap/metrics/chat.py"

STUDY = "study/test_reader_study.py"

JUDGING = [
    M("captions keep their order", KEY, "        chance.shuffle(captions)\n", "", STUDY),
    M("a caption's blanks tell whose it is", KEY, '" ".join(one_line(text).split())', "text", STUDY),
    M("another study's sheet is counted", RETURNED, "if code != key.code]", "if not code]", STUDY),
    M("a row that stands twice is counted", RETURNED, "if count > 1]),", "if count > 2]),", STUDY),
    M("two sheets of one reader are counted", RETURNED, "if name and count > 1)", "if name and count > 2)", STUDY),
    M("an answer beyond the scale is counted", RETURNED, "1 <= int(text) <= highest", "1 <= int(text)", STUDY),
    M(
        "the last place is the best",
        OUTCOME,
        "np.sign(theirs - ours)",
        "np.sign(ours - theirs)",
        "study/test_scores.py",
    ),
    M(
        "images of one patient are drawn apart",
        OUTCOME,
        "by_group(values, self.groups)",
        'by_group(values, [""] * len(self.groups))',
        "study/test_scores.py",
    ),
    M(
        "each pair has an interval of its own",
        OUTCOME,
        "LEVEL / pairs(len(key.systems))",
        "LEVEL",
        "study/test_scores.py",
    ),
    M(
        "who always wins is certain to",
        OUTCOME,
        "if groups < 2 or estimate.value not in (0, 1):",
        "if True:",
        "study/test_scores.py",
    ),
    M(
        "a score that a worker could not make is 0",
        "rococap/metrics/workers/answering.py",
        "for v in side) else None",
        "for v in side) else ((0.0,), (1.0,))",
        "metrics/test_outside.py",
    ),
    M(
        "of several references the first counts",
        OUTSIDE,
        "scores[:, start:end].argmax(axis=1)",
        "0 * scores[:, start:end].argmax(axis=1)",
        "metrics/test_outside.py",
    ),
    M(
        "metrics of the chest score all images",
        "rococap/evaluation/slices.py",
        'if name == "all" or name in _names(each)]',
        "if True]",
        "metrics/test_outside.py",
    ),
    M(
        "a worker may download",
        OUTSIDE,
        '{"HF_HUB_OFFLINE": "1", ',
        '{"HF_HUB_OFFLINE": "0", ',
        "metrics/test_outside.py",
    ),
    M("nonsense is kept", JUDGE, "                continue\n", "", "metrics/test_judge.py"),
    M("a number above the highest counts", JUDGE, "float(found[1]) > self.highest", "False", "metrics/test_judge.py"),
    M("thoughts are an answer", JUDGE, '_THOUGHT.sub("", answer)', "answer", "metrics/test_judge.py"),
    M(
        "a redirect is followed with the key",
        CHAT,
        "build_opener(_NoRedirect)",
        "build_opener()",
        "metrics/test_judge.py",
    ),
    M("an error shows the key", CHAT, 'text.replace(self._key, "(key)")', "text", "metrics/test_judge.py"),
    M("a busy server is given up", CHAT, "if error.code in _BUSY:", "if False:", "metrics/test_judge.py"),
]
