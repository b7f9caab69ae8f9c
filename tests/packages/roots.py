"""Clean Debian systems in folders: made by debootstrap once, kept in the cache, copied for each use, entered with systemd-nspawn.

    root = Root.fresh("bookworm", folder)
    root.run("apt-get", "-y", "install", "/packages/x.deb", bind={packages: "/packages"})      a program as the only one there
    with root.booted() as system: system.run("systemctl", "status", "penstock")                systemd as process 1
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

from suite import Failed  # first: it says where the next ones are
from processes import wait_until
from settings import CACHE

CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", "TERM": "dumb"}


def run(argv, check=True, **how):
    """The output, both streams in one; an error that shows it unless the program is content."""
    done = subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **how)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout if check else (done.returncode, done.stdout)


def base(suite):
    """debootstrap's smallest: what every Debian has and nothing else."""
    folder = CACHE / "roots" / suite
    if not (folder / ".made").exists():
        print(f"  making a clean {suite} in {folder} (once)", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run(["debootstrap", "--variant=minbase", suite, folder])
        (folder / ".made").touch()
    return folder


class Root:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    @classmethod
    def fresh(cls, suite, folder, source=None):
        """A copy of the clean system, or of another folder."""
        folder = pathlib.Path(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        run(["cp", "-a", source or base(suite), folder])
        root = cls(folder)
        (root.folder / "etc/resolv.conf").write_bytes(pathlib.Path("/etc/resolv.conf").read_bytes())
        return root

    def path(self, name):
        return self.folder / name.lstrip("/")

    def argv(self, *words, bind=None, env=None):
        binds = [f"--bind={ours}:{theirs}" for ours, theirs in (bind or {}).items()]
        envs = [f"--setenv={key}={value}" for key, value in {**CLEAN, **(env or {})}.items()]
        # The limits of this machine's root, as a container has them; @aio is io_uring.
        return ["systemd-nspawn", "-q", "--register=no", "--keep-unit", "--resolv-conf=off", "--system-call-filter=@aio", *binds, *envs, "-D", self.folder, *words]

    def run(self, *words, check=True, bind=None, env=None):
        return run(self.argv("--as-pid2", "--pipe", *words, bind=bind, env=env), check=check, stdin=subprocess.DEVNULL)

    def apt(self, *words, bind=None):
        return self.run("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", *words, bind=bind)

    @contextlib.contextmanager
    def started(self, *words, bind=None):
        """A container in which `words` is process 2 for as long as the block lasts; more programs can be run in it."""
        log = open(f"{self.folder}.log", "ab")  # noqa: SIM115
        nspawn = subprocess.Popen(
            [str(word) for word in self.argv(*words, bind=bind)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
        )
        try:
            yield Inside(nspawn, pathlib.Path(f"{self.folder}.log"))
        finally:
            nspawn.terminate()
            try:
                nspawn.wait(20)
            except subprocess.TimeoutExpired:
                nspawn.kill()
                nspawn.wait()

    @contextlib.contextmanager
    def booted(self, bind=None):
        with self.started("--boot", bind=bind) as inside:
            wait_until("systemd to come up", 60, lambda: inside.run("systemctl", "is-system-running", check=False)[1].strip() in ("running", "degraded"), step=0.3)
            yield inside


class Inside:
    """A container that is running."""

    def __init__(self, nspawn, log):
        self.nspawn, self.log = nspawn, log
        self.leader = wait_until("the container", 10, self._leader)

    def _leader(self):
        if self.nspawn.poll() is not None:
            raise Failed(f"systemd-nspawn ended with {self.nspawn.returncode}; see {self.log}")
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
        for child in map(int, children):
            with contextlib.suppress(OSError):  # until it has its own
                if os.readlink(f"/proc/{child}/ns/pid") != os.readlink("/proc/self/ns/pid"):
                    return child
        return None

    def argv(self, *words, env=None):
        envs = [f"{key}={value}" for key, value in {**CLEAN, **(env or {})}.items()]
        return ["nsenter", "-t", self.leader, "-m", "-u", "-i", "-p", "-r", "-w", "env", "-i", *envs, *words]

    def run(self, *words, check=True, env=None):
        return run(self.argv(*words, env=env), check=check, stdin=subprocess.DEVNULL)

    def apt(self, *words):
        return self.run("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", *words)

    def spawn(self, *words, log):
        """In the background; its output goes to a file."""
        with open(log, "ab") as out:
            return subprocess.Popen([str(word) for word in self.argv(*words)], stdin=subprocess.DEVNULL, stdout=out, stderr=out, process_group=0)

    def pids(self, program="/usr/bin/penstock"):
        """Processes in it that run a program, also one that has been replaced since: by their numbers outside."""
        ours = os.readlink(f"/proc/{self.leader}/ns/pid")
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(folder / "ns/pid") == ours and os.readlink(folder / "exe").removesuffix(" (deleted)").endswith(program):
                    found.append(int(folder.name))
        return sorted(found)

    def kill(self, pid, number=signal.SIGKILL):
        os.kill(pid, number)
