"""The judge asks a real server of this machine, that answers, is slow, answers nonsense or nothing, or refuses."""

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from commands import CONF
from omegaconf import OmegaConf

from rococap.config import build
from rococap.data.kept.listing import caches, clear
from rococap.evaluation.split_scores import score_predictions
from rococap.metrics import blind, chat
from rococap.metrics.judge import Judge
from rococap.metrics.measure import measure, ready
from rococap.metrics.signature import difference
from rococap.types import Prediction, UserError

KEY = "sk-very-secret"
PROMPT = "reference {reference} caption {caption}"
SAID = ("3", "7 {reference}", "10")
REFERENCES = (["a", "b"], ["c"], ["d"])


class Server(ThreadingHTTPServer):
    """Answers with the first number of a caption, or as `behave` says: a status, a text, or a function."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.headers, self.behave = [], [], lambda question, count: None
        self.count = Counter()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][0]["content"]
        self.server.asked.append(body)
        self.server.headers.append(self.headers["Authorization"])
        self.server.count[question] += 1
        found = self.server.behave(question, self.server.count[question])
        if isinstance(found, tuple):
            return self.reply(found[0], found[1].encode(), found[2] if len(found) > 2 else {})
        text = found if found is not None else question.split("caption ")[1].split()[0]
        answer = {"model": "judge-2026-01", "choices": [{"message": {"role": "assistant", "content": text}}]}
        return self.reply(200, json.dumps(answer).encode(), {})

    def reply(self, status, content, headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("ROCOCAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setattr(chat, "_FIRST", 0.005)
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def judge(server, **settings):
    usual = {"prompt": PROMPT, "key_variable": "MY_KEY", "timeout": 5, "tries": 3}
    return Judge(server.url, "judge", **{**usual, **settings})


def judged(metric, said=SAID, orders=None):
    orders = np.arange(3)[None] if orders is None else orders
    return metric.combine(measure({"judge": metric}, said, REFERENCES, orders)["judge"])[..., 0]


def test_each_pair_is_asked_once_and_never_again(server, caplog, tmp_path):
    metric = judge(server)
    np.testing.assert_allclose(judged(metric, orders=blind.orders(3)), [[0.3, 0.7, 1], *_blind()])
    count = len(server.asked)
    assert count == len({each["messages"][0]["content"] for each in server.asked}) <= 8
    assert {each["temperature"] for each in server.asked} == {0} and set(server.headers) == {f"Bearer {KEY}"}
    assert "reference c caption 7 {reference}" in server.count  # a caption's own braces are text
    again = judge(server)
    judged(again, orders=blind.orders(3))
    assert len(server.asked) == count and again.settings(3) == metric.settings(3)
    by_name = dict(field.split(":") for field in metric.settings(3))
    assert by_name["model"] == "judge" and by_name["answered_by"] == "judge-2026-01"
    assert by_name["judged"] == time.strftime("%Y-%m-%d", time.gmtime()) and len(by_name["prompt_sha256"]) == 8
    assert judge(server, prompt=f"{PROMPT}!").settings(3)[1] != metric.settings(3)[2]
    (kept,) = [cache for cache in caches() if cache.kind == "answers"]
    every = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert len(every) > 1 and not any(KEY in text or "reference" in text for text in [*every, caplog.text])
    assert clear(kept) and not caches()


def _blind():
    order = blind.orders(3)[1]
    return [np.array([0.3, 0.7, 1])[order]]


def test_dates_do_not_part_scores_but_models_do():
    assert difference(["model:a|judged:2026-01-01", "model:a|judged:2026-02-01..2026-02-03"]) == ""
    assert difference(["model:a|answered_by:a-1", "model:a|answered_by:a-2"]) == "answered_by: a-1, a-2"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, status):
    server.behave = lambda question, count: (status, "busy", {"Retry-After": "0.01"}) if count < 3 else None
    np.testing.assert_allclose(judged(judge(server)), [[0.3, 0.7, 1]])
    assert set(server.count.values()) == {3}


def test_what_was_answered_before_the_end_is_kept(server):
    server.behave = lambda question, count: (500, "down") if "reference d" in question else None
    with pytest.raises(UserError, match=r"answers 500 .*; 3 tries.\nWhat was answered is kept"):
        judged(judge(server, workers=1))
    server.behave = lambda question, count: None
    before = len(server.asked)
    judged(judge(server))
    assert len(server.asked) == before + 1


def test_a_slow_server(server):
    server.behave = lambda question, count: time.sleep(0.6) if count == 1 and "reference d" in question else None
    np.testing.assert_allclose(judged(judge(server, timeout=0.3)), [[0.3, 0.7, 1]])
    server.behave = lambda question, count: time.sleep(0.3)
    with pytest.raises(UserError, match=r"does not answer .*timed out"):
        judged(judge(server, timeout=0.05, tries=2), said=("1", "2", "3"))


@pytest.mark.parametrize(
    "nonsense",
    ["it agrees", "11", "", "-1", "Score: -1", "7/100", "7 or 8", "nan", "<think>9</think>", "<think>perhaps\n9"],
)
def test_nonsense_is_an_error_that_names_the_image(server, nonsense):
    server.behave = lambda question, count: nonsense if "reference c" in question else None
    said = [Prediction(f"image{n}", text, tuple(REFERENCES[n])) for n, text in enumerate(SAID)]
    with pytest.raises(
        UserError, match=r"judge gives 1 of 3 images of test no number: image1 \(it answered"
    ) as refusal:
        score_predictions({"judge": judge(server)}, said, "test", with_blind=False)
    assert not nonsense or nonsense.split()[0] in str(refusal.value)
    server.behave = lambda question, count: None
    rows = score_predictions({"judge": judge(server)}, said, "test").rows()  # nonsense is asked again
    assert {row.metric for row in rows} == {"judge", "judge_blind", "judge_gain"}


@pytest.mark.parametrize("text", ["7", "7.0", "Score: 7", "7/10", "**7**", "<think>3\n</think>\n7", "thinking 3\n\n7."])
def test_a_number_is_found_in_usual_answers(text):
    assert Judge(None, None, PROMPT).number(text) == 0.7


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((401, f"Incorrect API key provided: {KEY}"), "refuses the key .401"),
        ((403, KEY), "refuses the key .403"),
        ((404, f"no model for {KEY}"), r"answers 404 .*: no model for \(key\)"),
        ((302, "", {"Location": "http://127.0.0.1:9/elsewhere"}), "answers 302"),
        ((200, "<html>"), "answers no chat completion: '<html>'"),
        ((200, '{"choices": []}'), "answers no chat completion"),
    ],
)
def test_who_refuses_is_asked_no_more_and_the_key_is_not_shown(server, caplog, found, said):
    server.behave = lambda question, count: found
    with pytest.raises(UserError, match=said) as refusal:
        judged(judge(server, workers=1))
    assert max(server.count.values()) == 1 and KEY not in str(refusal.value) + caplog.text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": None}, "needs an address and a model"),
        ({"model": None}, "needs an address and a model"),
        ({"url": "ftp://host"}, "is no address of the web"),
        ({"url": f"https://user:{KEY}@host/v1"}, "holds more than an address"),
        ({"url": f"https://host/v1?key={KEY}"}, "holds more than an address"),
        ({"prompt": "no place"}, "has no place for"),
        ({"key_variable": "NO_SUCH_KEY"}, "no key in the environment variable NO_SUCH_KEY"),
        ({"key_variable": "BROKEN_KEY"}, "BROKEN_KEY holds is no key of one line"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_asked(monkeypatch, settings, said):
    monkeypatch.setenv("BROKEN_KEY", f"{KEY}\nX")
    usual = {"url": "http://127.0.0.1:9/v1", "model": "judge", "prompt": PROMPT, "key_variable": None}
    with pytest.raises(UserError, match=said) as refusal:
        ready({"judge": Judge(**{**usual, **settings})})
    assert KEY not in str(refusal.value)


def test_the_shipped_settings_need_an_address():
    metric = build(OmegaConf.load(CONF / "metrics" / "judge.yaml"))["judge"]
    assert "{caption}" in metric.prompt and metric.key_variable == "OPENAI_API_KEY"
    with pytest.raises(UserError, match=r"metrics\.judge\.url=https://HOST/v1"):
        metric.check()
