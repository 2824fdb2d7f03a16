"""Runs one throw-away Synapse in this very process and sees to its end.

    launch.py RUN_DIR --ttl SECONDS [--leash]

RUN_DIR holds homeserver.yaml, and fakes.json: what else is to run in this process, see the
package `fakes`. The server ends by itself after its time to live, and with
--leash as soon as its standard input is closed, so that it outlives nobody who started it,
however they died. Its database goes with it.
"""

import argparse
import base64
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

# Synapse closes within a second or two; one that hangs is cut off.
GRACE_SECONDS = 10
# A database stays below 8 MiB in a test; /dev/shm may be small in a container.
ROOM_IN_MEMORY = 48 << 20


def place_database(run_dir):
    """Makes RUN_DIR/database, in memory where there is room: SQLite waits for the disk in
    every registration. Returns the directory behind it."""
    link = run_dir / "database"
    memory = Path("/dev/shm")
    try:
        if shutil.disk_usage(memory).free >= ROOM_IN_MEMORY:
            directory = tempfile.mkdtemp(prefix="matricula-synapse-", dir=memory)
            link.symlink_to(directory)
            return directory
    except OSError:
        pass
    link.mkdir()
    return link


def write_signing_key(run_dir):
    seed = base64.b64encode(os.urandom(32)).decode().rstrip("=")
    (run_dir / "signing.key").write_text(f"ed25519 a_test {seed}\n")


def end(reason, database):
    print(f"launch.py: ending the server: {reason}", file=sys.__stderr__, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    shutil.rmtree(database, ignore_errors=True)
    os._exit(1)


def start_fakes(run_dir):
    """Before Synapse, which looks for some of them as it starts."""
    # -I leaves out the directory of this script; and nothing is to be written there.
    sys.path.append(str(Path(__file__).resolve().parent))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    import fakes

    sys.dont_write_bytecode = before
    fakes.start(run_dir)


def forget_proxies():
    """Synapse would look for servers on loopback through them."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            del os.environ[name]


def watch(wait, reason, database):
    def run():
        wait()
        end(reason, database)

    threading.Thread(target=run, daemon=True).start()


def until_stdin_closes():
    while os.read(0, 4096):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--ttl", type=float, required=True)
    parser.add_argument("--leash", action="store_true")
    args = parser.parse_args()

    # A session of its own: an interrupt typed at the terminal is not meant for the server.
    os.setsid()
    # Until Twisted installs its own handler; an exception lets the database be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    database = place_database(args.run_dir)
    try:
        watch(lambda: time.sleep(args.ttl), "its time to live is over", database)
        if args.leash:
            watch(until_stdin_closes, "whoever started it is gone", database)
        write_signing_key(args.run_dir)
        forget_proxies()
        start_fakes(args.run_dir)
        os.chdir(args.run_dir)
        sys.argv = ["synapse", "-c", str(args.run_dir / "homeserver.yaml")]
        from synapse.app import homeserver

        homeserver.main()
    finally:
        shutil.rmtree(database, ignore_errors=True)


main()
