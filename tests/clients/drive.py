#!/usr/bin/env python3
"""Drives a server through an official Python client that is not modified.

    drive.py URL[,URL…] LIBRARY [--ca FILE] [--only WORD]

Several URLs are asked in turns. FILE is the authority that servers must have a certificate of.
LIBRARY is `elasticsearch` or `opensearchpy`, as this Python can import it. Prints a line a check and, last,
`N passed, N failed`; ends with 1 where a check failed or none ran. Only indices, streams, templates and policies
named `checks-*` are made, and deleted again; one setting of the cluster is changed and reset. Called by
`cargo xtask test`. The checks are in `checks.py`, `administration.py` and `wider_searches.py`.
"""

import argparse
import signal
import sys
import time
import traceback
import warnings

# These three add their checks to the registry.
import checks
import administration
import wider_searches
from kit import Kit
from registry import checks_of

# Seconds that a check may take; the slowest takes about one.
LIMIT = 60


def late(*_):
    raise TimeoutError(f"not done within {LIMIT} s")


def run(check, library, urls, ca):
    """Runs a check on an index of its own; returns what went wrong."""
    index = "checks-" + check.__name__.replace("_", "-")
    kit = Kit(library, urls, index, ca)
    signal.alarm(LIMIT)
    try:
        check(kit)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[1:2]
        line = f"line {place[0].lineno}: " if place else ""
        return f"{line}{type(error).__name__}: {error}".replace("\n", " ")
    finally:
        signal.alarm(0)
        try:
            kit.client.indices.delete(index=index, ignore_unavailable=True)
        except Exception:
            pass  # The server is gone, or refuses: the check has said so, or the next one will.
        kit.client.close()
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", type=lambda text: text.split(","))
    parser.add_argument("library", choices=["elasticsearch", "opensearchpy"])
    parser.add_argument("--ca", help="file of the authority, in PEM")
    parser.add_argument("--only", default="", help="only checks with this word in their name")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, late)
    failed = []
    chosen = [check for check in checks_of(asked.library) if asked.only in check.__name__]
    for check in chosen:
        began = time.monotonic()
        fault = run(check, asked.library, asked.urls, asked.ca)
        took = f"{1000 * (time.monotonic() - began):.0f} ms"
        print(f"{'FAIL' if fault else 'PASS'} {check.__name__} ({took}) {fault or ''}".rstrip(), flush=True)
        if fault:
            failed.append(check.__name__)
    if failed:
        print("failed: " + ", ".join(failed))
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed", flush=True)
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
