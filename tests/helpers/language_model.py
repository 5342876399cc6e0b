"""Language models for tests: a scripted one, and an endpoint on 127.0.0.1."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

from optnas.samplers.language_model import Reply, RequestError

NOTE = "wide layers do well"


def is_note(messages):
    return "Propose" not in messages[0]["content"]


def document(messages):
    return json.loads(messages[1]["content"])


def value_of(described, rng):
    """A value of a parameter, as `prompt.describe` describes it."""
    if "choices" in described:
        return rng.choice(described["choices"])
    if described["type"] == "int":
        return rng.randint(described["low"], described["high"])
    return rng.uniform(described["low"], described["high"])


def climb(messages):
    """Changes a decision or two of one of the best: the simplest hill climbing. Some say nothing.

    A function of the request alone; signs and sizes of the values make no difference.
    """
    if is_note(messages):
        return Reply(NOTE, tokens=7)
    asked = document(messages)
    shown = [one["params"] for one in asked["best"] + asked["worst"]] + asked["running"]
    rng = Random(json.dumps([asked["trials_so_far"], shown]))
    if (fate := rng.random()) < 0.1:
        raise RequestError("late")
    if fate < 0.2:
        return Reply("I would rather not.", tokens=5)
    best = rng.choice(asked["best"][:4] or [{"params": {}}])
    params = dict(best["params"])
    for described in rng.sample(asked["space"], min(rng.randint(1, 2), len(asked["space"]))):
        params[described["name"]] = value_of(described, rng)
    return Reply(f"Here it is:\n```json\n{json.dumps(params)}\n```", tokens=11)


class Endpoint:
    """What the test's server answers, and what it was asked.

    Attributes:
        url: Where it is.
        asked: The bodies of the requests.
        keys: Their `Authorization` headers.
        answer: Called with a request's body; returns the status and the answer's body.
        headers: Of each answer.
        ended: Set at the end of the test, for an answer that is held until then.
    """

    def __init__(self, url):
        self.url = url
        self.asked, self.keys, self.headers = [], [], {}
        self.answer = lambda body: says("{}")
        self.ended = threading.Event()


def says(text, tokens=10, status=200):
    """A chat's answer with this text."""
    body = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    if tokens is not None:
        body["usage"] = {"total_tokens": tokens}
    return status, json.dumps(body).encode()


@contextmanager
def endpoint():
    """A server with OpenAI's chat interface, on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.asked.append(body)
            served.keys.append(self.headers["Authorization"])
            status, answer = served.answer(body)
            try:
                self.send_response(status)
                for name, value in served.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:  # the client has given up
                self.close_connection = True

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Endpoint(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        served.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
