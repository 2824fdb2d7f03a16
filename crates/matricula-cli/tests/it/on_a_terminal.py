"""Runs a program on a terminal of its own and types answers.

Standard input: JSON, an object with "columns", the width of the terminal, and "steps", a list of [what
to wait for, what to type then]. Standard output: all that the program wrote. Exit code: the program's.
The terminal must be as it was when the program has ended.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

PATIENCE = 30

order = json.load(sys.stdin)
steps = order["steps"]
pid, terminal = pty.fork()
if pid == 0:
    size = struct.pack("HHHH", 50, order["columns"], 0, 0)
    fcntl.ioctl(0, termios.TIOCSWINSZ, size)
    os.execv(sys.argv[1], sys.argv[1:])

output, seen = b"", 0
end = time.monotonic() + PATIENCE
while time.monotonic() < end:
    if steps and (at := output.find(steps[0][0].encode(), seen)) >= 0:
        seen = at + len(steps[0][0].encode())
        os.write(terminal, steps.pop(0)[1].encode())
    if select.select([terminal], [], [], 0.05)[0]:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # The program has closed its side.
            read = b""
        if not read:
            break
        output += read

sys.stdout.buffer.write(output)
sys.stdout.flush()
if steps or time.monotonic() >= end:
    os.kill(pid, 9)
    sys.exit(f"waited for {steps}")
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
modes = termios.tcgetattr(terminal)[3]
if modes & termios.ICANON == 0 or modes & termios.ECHO == 0:
    sys.exit("the terminal does not show what is typed any more")
sys.exit(status)
