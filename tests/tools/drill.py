"""What the drills of tools share: the address of the server, and how a drill says what is wrong."""

import json
import pathlib
import sys
import urllib.request

sys.path.append(str(pathlib.Path(__file__).parents[1] / "clients"))
from kit import equal, true  # the drills import them from here

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:9200"


def send(method, path, body=None, kind="application/json"):
    """Sends a request without any tool; returns the answer as JSON, or as text where it is none."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method, headers={"content-type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    try:
        return json.loads(text)
    except ValueError:
        return text


def refuses(call, word):
    """Fails unless `call` fails and its error says `word`."""
    try:
        call()
    except Exception as error:  # of whatever kind the tool raises
        true(word in str(error), str(error))
        return
    raise AssertionError(f"it was taken, and [{word}] expected")


def run(*steps):
    """Runs the steps of a drill, each a function, in order; ends the process with 1 where one fails."""
    passed, failed = 0, 0
    for step in steps:
        name = step.__name__.replace("_", " ")
        try:
            step()
            passed += 1
            print(f"ok {name}")
        except Exception as error:
            failed += 1
            print(f"FAIL {name}: {type(error).__name__}: {error}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
