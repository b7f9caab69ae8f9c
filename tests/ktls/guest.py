#!/usr/bin/python3 -B
"""The first process inside user-mode Linux: mounts what a program expects, runs SCRATCH/command in the host's own tree, leaves its exit
status in SCRATCH/status, and ends the machine. The root is the host's, read only; SCRATCH, which the kernel's command line names, is the one
folder that can be written. No module is loaded here: that is a part of the suite.
"""
import ctypes
import fcntl
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys

RB_POWER_OFF = 0x4321FEDC
SIOCSIFFLAGS, SIOCSIFMTU, IFF_UP = 0x8914, 0x8922, 1

libc = ctypes.CDLL(None, use_errno=True)


def mount(kind, where, option=""):
    if libc.mount(kind.encode(), str(where).encode(), kind.encode(), 0, option.encode()) < 0:
        raise OSError(ctypes.get_errno(), f"mount {kind} at {where}")


def loopback_up():
    """With the packets of a cable: in one of 64 KiB, as they are here otherwise, every record is sent whole."""
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCSIFMTU, struct.pack("16si12x", b"lo", 1500))
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def main():
    mount("proc", "/proc")
    mount("sysfs", "/sys")
    words = pathlib.Path("/proc/cmdline").read_text().split()
    scratch = next(word.partition("=")[2] for word in words if word.startswith("scratch="))
    mount("hostfs", scratch, scratch)
    loopback_up()
    os.environ.update(HOME=scratch, TMPDIR=scratch, PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    status = subprocess.run(["/bin/sh", f"{scratch}/command"], check=False).returncode
    (pathlib.Path(scratch) / "status").write_text(f"{status}\n")


if __name__ == "__main__":
    try:
        main()
    finally:
        sys.stdout.flush()
        os.sync()
        libc.reboot(RB_POWER_OFF)
        signal.pause()
