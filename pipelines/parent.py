"""Ending together with the program that started this one, also when that one is killed.

The parent holds the other end of standard input and never writes to it: when the parent is gone, however it ended,
reading from standard input ends. This needs no signal and works on every POSIX system.
"""

import os
import signal
import sys
import threading
import time

_PATIENCE_S = 5.0

parent_gone = threading.Event()


def end_with_parent() -> None:
    """Watch standard input in a thread; when it ends, interrupt the whole process group, and later kill it.

    The process must lead a group of its own: everything in that group is ended. The tasks of a pipeline belong to it.
    Interruptions are heeded from here on, by this process and the tasks it starts, also where the shell that started
    it in the background had them ignored: the parent ends this program by an interruption.
    """
    if os.getpgrp() != os.getpid():
        raise RuntimeError("only the leader of a process group may end it; start this program in a group of its own")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_watch, args=(sys.stdin.fileno(),), name="parent", daemon=True).start()


def kill_group() -> None:
    """Kill this process and everything in its group."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _watch(descriptor: int) -> None:
    while os.read(descriptor, 1024):
        pass
    parent_gone.set()
    os.killpg(os.getpgrp(), signal.SIGINT)
    time.sleep(_PATIENCE_S)
    kill_group()
