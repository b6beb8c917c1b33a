"""Runs a command under a terminal of its own.

    terminal.py [WAIT TYPE]... -- COMMAND ARGUMENT...

What the command says goes to standard output at once. Where it has said WAIT, and shows no more what is typed, TYPE is
typed, with the return key.
"""

import os
import pty
import sys
import termios
import time

cut = sys.argv.index("--")
answers, command = sys.argv[1:cut], sys.argv[cut + 1 :]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
heard = b""
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:  # how Linux tells that the command has closed its end
        break
    if not part:
        break
    sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
    heard += part
    if answers and answers[0].encode() in heard:
        # A prompt comes before what is typed is hidden.
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(terminal, answers[1].encode() + b"\n")
        answers, heard = answers[2:], b""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
