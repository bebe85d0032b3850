"""Ends one file system process when the benchmark that started it dies or takes too long.

Run as `watchdog.py PID MOUNTPOINT SECONDS` with a pipe on stdin that its starter holds open: a caller inside
a mount that hangs can be freed in no other way than by ending the process that serves it.
"""

import os
import select
import signal
import subprocess
import sys


def main() -> None:
    daemon = os.pidfd_open(int(sys.argv[1]))
    mountpoint, seconds = sys.argv[2], float(sys.argv[3])
    print("watching", flush=True)
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if ready and sys.stdin.readline() == "done\n":
        return
    signal.pidfd_send_signal(daemon, signal.SIGKILL)
    subprocess.run(["fusermount3", "-u", "-z", mountpoint], stderr=subprocess.DEVNULL, check=False)


main()
