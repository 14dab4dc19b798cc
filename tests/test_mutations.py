"""Every mistake of tests/mutations can still be made; whether tests find them is told by tests/mutations/run.py."""

import ast
import subprocess
import sys

from commands import ROOT

FOLDER = ROOT / "tests" / "mutations"
LIST = """
from all_mutations import MUTATIONS
print([(m.name, m.file, m.stale(), m.new, m.tests) for m in MUTATIONS])
"""


def test_no_mutation_is_stale():
    done = subprocess.run([sys.executable, "-c", LIST], cwd=FOLDER, capture_output=True, text=True)
    mutations = ast.literal_eval(done.stdout)
    assert len(mutations) > 100 and len({name for name, *_ in mutations}) == len(mutations)
    assert [(name, stale) for name, _, stale, _, _ in mutations if stale] == []
    files = {(name, word) for name, *_, tests in mutations for word in tests.split() if word.endswith(".py")}
    assert [(name, word) for name, word in files if not (ROOT / "tests" / word).is_file()] == []


def test_each_mutation_is_still_python():
    code = """
import ast, sys
from all_mutations import MUTATIONS
from mutation import ROOT
for m in MUTATIONS:
    if m.file.endswith(".py"):
        ast.parse((ROOT / m.file).read_text().replace(m.old, m.new), m.name)
print(len(MUTATIONS))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True)
    assert int(done.stdout) > 100, done.stderr
