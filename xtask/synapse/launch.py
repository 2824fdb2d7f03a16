"""Runs one temporary Synapse in this process, and stops it.

    launch.py RUN_DIR --ttl SECONDS [--stop-with-parent]

RUN_DIR contains homeserver.yaml, and fakes.json: the fake services to run in this process (see the
package `fakes`). The server stops after its time to live, and with --stop-with-parent as soon as its
standard input is closed, so that it never outlives its parent process. Its database is deleted.
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

# Synapse stops within two seconds; after this time it is killed.
GRACE_SECONDS = 10
# The database of a test stays below 8 MiB; /dev/shm may be small in a container.
ROOM_IN_MEMORY = 48 << 20


def place_database(run_dir):
    """Creates RUN_DIR/database, in memory if there is room: on disk, SQLite syncs at every
    registration. Returns the directory that it links to."""
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
    """Starts the fakes, before Synapse, which connects to some of them at its start."""
    # -I leaves out the directory of this script; and nothing is to be written there.
    sys.path.append(str(Path(__file__).resolve().parent))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    import fakes

    sys.dont_write_bytecode = before
    fakes.start(run_dir)


def forget_proxies():
    """Removes the proxy settings, which would also apply to loopback."""
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
    parser.add_argument("--stop-with-parent", action="store_true")
    args = parser.parse_args()

    # A separate session, so that Ctrl-C in the terminal does not reach the server.
    os.setsid()
    # Until Twisted installs its own handler. The exception removes the database.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    database = place_database(args.run_dir)
    try:
        watch(lambda: time.sleep(args.ttl), "its time to live has ended", database)
        if args.stop_with_parent:
            watch(until_stdin_closes, "its parent process has ended", database)
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
