"""Runs the steps of a client, and prints one line for each: its name, a tab, and its outcome."""

import asyncio
import json
import logging
import os
import sys
import time
import traceback

STEP_LIMIT = 10
WAIT_LIMIT = 6

URL = os.environ.get("MATRIX_URL", "")
PASSWORD = "Aa1-wordpass-of-a-client"

# Standard output is for the steps only.
logging.basicConfig(stream=sys.stderr, level=logging.WARNING)


async def step(name, work):
    """Runs a step. What it returns becomes part of the outcome, which must be the same on every server."""
    print(f"\n== {name}", file=sys.stderr)
    try:
        detail = await asyncio.wait_for(work(), STEP_LIMIT)
        outcome = "ok" if detail is None else f"ok: {json.dumps(detail, ensure_ascii=False, sort_keys=True)}"
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, asyncio.TimeoutError):
            error = f"it did not end within {STEP_LIMIT} s"
        text = " ".join(f"{getattr(error, 'errcode', '')} {error}".split())
        outcome = f"failed: {text or type(error).__name__}"[:400]
    print(f"{name}\t{outcome}", flush=True)


async def until(what, check):
    """Waits until the check returns something that is not empty, and returns it."""
    end = time.monotonic() + WAIT_LIMIT
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what}")
        await asyncio.sleep(0.025)


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what} is {found!r}, expected {expected!r}")
