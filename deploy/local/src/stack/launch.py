"""Becomes another program that the kernel ends when the process that started it dies.

Run by path, not imported, so that it starts in a few milliseconds:
    python -I -S launch.py <signal> <pid of the starter> <uid:gid or -> <program> <arguments…>
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop privileges if asked to, tie this process to its starter, become the program."""
    death_signal, starter, user, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if user != "-":
        uid, gid = map(int, user.split(":"))
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    # After setuid, which clears it. It survives exec, but not a starter that was dead before we asked.
    if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(starter):
        sys.exit("the process that started this one is already gone")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would pass that on
    os.execvp(command[0], command)  # noqa: S606 - what this file is for


main()
