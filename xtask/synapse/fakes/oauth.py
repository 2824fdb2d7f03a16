"""An authorization server that Synapse delegates to. It is a separate program, which ends when its
standard input is closed: always together with this process."""

import subprocess

RUNNING = []


def start(settings):
    command = [settings["program"], settings["config"], settings["address"]]
    RUNNING.append(subprocess.Popen(command, stdin=subprocess.PIPE))
