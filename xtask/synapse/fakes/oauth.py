"""An authorization server for Synapse to delegate to. It is a program of its own, which ends when its
standard input does: with this process, however that ends."""

import subprocess

RUNNING = []


def start(settings):
    command = [settings["program"], settings["config"], settings["address"]]
    RUNNING.append(subprocess.Popen(command, stdin=subprocess.PIPE))
