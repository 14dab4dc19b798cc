"""The page of a reader study in a browser, where there is one: what is ticked is kept and saved."""

import csv
import html
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from made_runs import examples

from rococap.report.reader_sheet import sheet_page
from rococap.study.key import Caption, Entry, Key
from rococap.study.returned import read_answers
from rococap.study.sheet import sheet_of

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)> {{7*7}}'
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TICK = """
<script>
const form = document.getElementById("sheet"), make = URL.createObjectURL;
URL.createObjectURL = (blob) => {
  blob.text().then((text) => { document.title = JSON.stringify(text); });
  return make(blob);
};
form.elements.reader.value = '=Ann, "B"';
for (const tick of form.querySelectorAll("input[type=radio]")) if (tick.value === "2") tick.checked = true;
form.dispatchEvent(new Event("input"));
form.requestSubmit();
</script>
"""


@pytest.fixture(scope="module")
def key():
    captions = (Caption("two\u2028lines", ("one",)), Caption(EVIL, ("two",)), Caption("", ("three",)))
    return Key(("one", "two", "three"), "salt", tuple(Entry(each.id, "", captions) for each in examples()[:3]))


@pytest.fixture(scope="module")
def page(key):
    return sheet_page(sheet_of(key, {each.id: each for each in examples()}))


def test_captions_are_text(page):
    assert EVIL not in page and page.count("<script>") == 1 and page.count("an empty caption") == 3
    assert html.unescape(page).count(EVIL) == 3


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_what_is_ticked_is_saved_and_outlives_the_page(key, page, tmp_path):
    def opened(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"]
        command = [BROWSER, *quiet, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", str(tmp_path / name)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    first = opened("sheet.html", page.replace("</body>", f"{TICK}</body>"))
    saved = json.loads(html.unescape(re.search("<title>(.*?)</title>", first, re.DOTALL)[1]))
    assert "Saved, with all answers" in first
    (tmp_path / "saved.csv").write_text(saved, encoding="utf-8", newline="")
    (answers,) = read_answers([tmp_path / "saved.csv"], key)
    assert answers.reader == '=Ann, "B"' and next(csv.DictReader(io.StringIO(saved)))["reader"][0] == "'"
    assert all(np.array_equal(values, np.full(9, 2.0)) for values in answers.values.values())
    assert "0 of 3 images done" in opened("other.html", page.replace(key.code, "0" * 16))
    assert "3 of 3 images done" in opened("sheet.html", page)
