#!/usr/bin/env python3
"""Packages, as an operator meets them: built in clean systems, installed with nothing else there, started, reloaded, upgraded under traffic,
removed and purged; with systemd as process 1 and without. One line for everything that was seen to be so; the first that is not ends it.

usage: check.py SUITE...      bookworm, trixie; or rpm; wants root
"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback

from suite import Failed, good, same, totals
import build
import check_kernel
import check_rpm
from processes import start_time
from roots import Root, run, wait_until
from traffic import ADMIN, CONF, EDGE, EDGE_CONF, PORT, SECOND, Traffic, alone, ask, config, is_open, make_echo, proxied, serving_version


def rights(root, path):
    status = root.path(path).stat()
    group = next((line.split(":")[0] for line in root.path("/etc/group").read_text().splitlines() if line.split(":")[2] == str(status.st_gid)), status.st_gid)
    return f"{status.st_mode & 0o7777:o} {status.st_uid} {group}"


def check_lintian(suite, packages):
    words = ["lintian", "--allow-root", "--pedantic", "-I", "-E", "--show-overrides", f"/packages/{packages['changes'].name}"]
    output = packages["root"].run(*words, bind={packages["changes"].parent: "/packages"})
    tags = [line for line in output.splitlines() if re.match(r"[EWIPXO]: ", line)]
    if [tag for tag in tags if tag[0] in "EW"] or len([tag for tag in tags if tag[0] == "O"]) != 2:
        raise Failed(f"lintian ought to show two overrides, no error and no warning:\n{output}")
    good(f"lintian --pedantic -I -E --show-overrides: no error, no warning{''.join(chr(10) + '      ' + tag for tag in tags)}")


def check_make_install(package):
    """`make install` of this tree puts everything where the package has it, below its own prefix, and what it installs runs."""
    target = build.OUTPUT / "install"
    shutil.rmtree(target, ignore_errors=True)
    run(["make", "-C", build.TREE, "install", "install-bench", f"DESTDIR={target}"])

    def plain(name):
        name = name.lstrip(".").replace("/usr/local/", "/usr/").removesuffix(".gz")
        return name.replace("/zsh/vendor-completions/", "/zsh/site-functions/")

    ours = {plain(str(file)[len(str(target)) :]) for file in target.rglob("*") if file.is_file() and "penstock-bench" not in str(file)}
    theirs = {plain(line.split()[5]) for line in run(["dpkg-deb", "-c", package]).splitlines() if line.startswith("-")}
    debian = {name for name in theirs if re.search(r"/systemd/system/|/lintian/|/copyright$|/changelog", name)}
    same("files", sorted(ours ^ (theirs - debian)), [])
    same("it runs", run([target / "usr/local/bin/penstock", "version"]).split()[0], "penstock")
    good(f"make install: the same {len(ours)} files below /usr/local as in the package; units and copyright are the package's")


def fresh_system(suite, packages, name, *more):
    """With what the packages depend on downloaded, because the rest happens without a network; nothing installed but `more`."""
    root = Root.fresh(suite, build.OUTPUT / suite / name)
    bind = {packages["now"].parent: "/packages"}
    root.apt("update")
    if more:
        root.apt("install", "--no-install-recommends", *more)
    root.apt("install", "--no-install-recommends", "--download-only", f"/packages/{packages['now'].name}", f"/packages/{packages['bench'].name}", bind=bind)
    return root, bind


def install(system, file, *options):
    return system.apt("install", "--no-install-recommends", *options, f"/packages/{file.name}")


def newly_installed(output):
    found = re.search(r"The following NEW packages will be installed:\n((?:  .*\n)+)", output)
    return found[1].split() if found else re.findall(r"^Setting up (\S+)", output, re.M)


# ---- without systemd


def start_by_hand(system, log):
    """As a container's entry point would."""
    return system.spawn("setpriv", "--reuid=penstock", "--regid=penstock", "--clear-groups", "/usr/bin/penstock", "run", "-c", CONF, log=log)


def check_without_systemd(suite, packages, root, bind):
    log = pathlib.Path(f"{root.folder}.penstock.log")
    log.unlink(missing_ok=True)
    echo = make_echo()
    with root.started("--as-pid2", "sleep", "infinity", bind=bind) as system:
        output = install(system, packages["now"])
        new = newly_installed(output)
        good(f"apt install ./{packages['now'].name}, with nothing preinstalled; it brought: {' '.join(sorted(new))}")
        same("/run/systemd/system", root.path("/run/systemd/system").exists(), False)
        same("rights of penstock.yaml", rights(root, CONF), "640 0 penstock")
        same("rights of tls/", rights(root, "/etc/penstock/tls"), "2750 0 penstock")
        system.run("sh", "-c", "umask 027 && touch /etc/penstock/tls/new.key")
        same("rights of a file made in tls/", rights(root, "/etc/penstock/tls/new.key"), "640 0 penstock")
        root.path("/etc/penstock/tls/new.key").unlink()
        good("no systemd runs; penstock.yaml is 0640 root:penstock, tls/ 2750 root:penstock, and what is made in it is penstock's to read")
        check_documents(root)
        same("warnings", system.run("penstock", "check", "-q", "-c", CONF).count("warning:"), 1)
        same("files that are gone or changed", system.run("dpkg", "--verify", "penstock").strip(), "")
        good("the configuration as installed is accepted, with a warning that it serves nothing yet; dpkg --verify is content")

        root.path(CONF).write_text(config(echo))
        start_by_hand(system, log)
        wait_until("the port", 10, lambda: is_open(PORT))
        good("started by hand: a real byte went through and came back")
        root.path(CONF).write_text(config(echo, (PORT, SECOND)))
        os.kill(system.pids()[0], signal.SIGHUP)
        wait_until("the second port", 10, lambda: is_open(SECOND))
        good("SIGHUP: a second listener serves")

        first = system.pids()
        with Traffic(PORT) as traffic:
            time.sleep(0.5)
            install(system, packages["next"])
            same("processes after the upgrade of the files", system.pids(), first)
            os.kill(first[0], signal.SIGHUP)
            wait_until("the next version", 15, lambda: serving_version() == build.after(build.VERSION, 1))
            time.sleep(0.5)
            served = traffic.check()
            same("two processes while the old one has a connection", len(system.pids()), 2)
        wait_until("the old process to end", 10, lambda: len(system.pids()) == 1)
        good(f"upgraded to {build.after(build.VERSION, 1)} under traffic: {served} connections, 0 refused, the one that lasted was served throughout by the old process, which then ended")
        same("penstock.yaml", root.path(CONF).read_text(), config(echo, (PORT, SECOND)))

        check_refused(system, root, packages, echo, lambda: os.kill(system.pids()[0], signal.SIGHUP), log)

        check_sysctl(root)
        with another_root(system, log) as stranger:
            system.apt("remove", "penstock")
            same("processes after removal", system.pids(), [stranger])
        same("penstock.yaml after removal", root.path(CONF).exists(), True)
        install(system, packages["refusing"])
        same("penstock.yaml after another installation", root.path(CONF).read_text(), config(echo, (PORT, SECOND), key="busy_wait"))
        same("rights of tls/", rights(root, "/etc/penstock/tls"), "2750 0 penstock")
        root.path(CONF).unlink()
        output = install(system, packages["refusing"], "--reinstall")
        same("penstock.yaml", (root.path(CONF).exists(), "refuses" in output), (False, False))
        good("installed over itself where penstock.yaml is no longer there: nothing to complain of")
        root.path("/etc/penstock/tls/gw.key").write_text("a key")
        system.apt("remove", "penstock")
        same("a key after removal", root.path("/etc/penstock/tls/gw.key").exists(), True)
        good("apt remove: no process left but that of another root, /etc/penstock stays, also over another installation")
        system.apt("purge", "penstock")
        same("/etc/penstock after purge", root.path("/etc/penstock").exists(), False)
        same("/var/lib/penstock after purge", root.path("/var/lib/penstock").exists(), False)
        good("apt purge: /etc/penstock and /var/lib/penstock are gone")
        install(system, packages["bench"])
        same("penstock-bench", "load" in system.run("penstock-bench", "--help"), True)
        good("penstock-bench installs alone and runs")
    echo.close()
    same("nothing of it in the log that ought not to be", re.findall(r".*(?:reason=bug|assert|panic).*", log.read_text()), [])


@contextlib.contextmanager
def another_root(system, log):
    """What looks like /usr/bin/penstock from here, and runs in a root of its own, as in a container below this system."""
    make = """set -e
        mkdir /run/other && mount -t tmpfs other /run/other && cd /run/other
        install -D /usr/bin/sleep usr/bin/penstock
        for library in $(ldd /usr/bin/sleep | grep -o '/[^ ]*'); do install -D $library .$library; done
        mkdir old && pivot_root . old && cd /
        exec /usr/bin/penstock 600"""
    before = system.pids()
    system.spawn("unshare", "--mount", "sh", "-c", make, log=log)
    pid = wait_until("a process in another root", 10, lambda: next(iter(set(system.pids()) - set(before)), None))
    yield pid
    os.kill(pid, signal.SIGKILL)
    wait_until("its end", 10, lambda: pid not in system.pids())


def check_documents(root):
    folder = root.path("/usr/share/doc/penstock")
    documents = sorted(folder.glob("*.md"))
    links = [(file, target) for file in documents for target in re.findall(r"\]\((?!\w+:|#)([^)#]+)", file.read_text())]
    dead = [f"{file.name}: {target}" for file, target in links if not (root.path(target) if target.startswith("/") else file.parent / target).exists()]
    same("dead links", dead, [])
    same("documents with links", len(documents) >= 5 and len(links) >= 10, True)
    good(f"{', '.join(file.name for file in documents)}: {len(links)} links, each to something that is there")


def check_sysctl(root):
    lines = root.path("/etc/sysctl.d/60-penstock.conf").read_text().splitlines()
    same("lines that would change the host", [line for line in lines if line and not line.startswith("#")], [])
    names = [line[1:].split("=")[0].strip() for line in lines if re.match(r"#[a-z]\S*\.\S+ = ", line)]
    same("settings no kernel has", [name for name in names if not pathlib.Path("/proc/sys", name.replace(".", "/")).exists()], [])
    same("settings", len(names) >= 4, True)
    good(f"60-penstock.conf is there and sets nothing: {', '.join(names)}")


def check_refused(system, root, packages, echo, reload, log):
    """A version that refuses the configuration, that of the instance too where there is one, and whose own conffile is another; `log` holds
    what penstock says, or is a function."""
    before = system.pids()
    files = [CONF, EDGE_CONF][: len(before)]
    with Traffic(PORT) as traffic:
        output = install(system, packages["refusing"], "-o", "Dpkg::Options::=--force-confold")
        if "process.busy_poll: unknown key" not in output and "busy_poll" not in output or "this version refuses" not in output:
            raise Failed(f"the upgrade did not say that the configuration is refused:\n{output}")
        same("refused", re.findall(r"this version refuses (\S+),", output), files)
        same("penstock.yaml", root.path(CONF).read_text(), config(echo, (PORT, SECOND)))
        same("the package's", "A line of the new version" in root.path(CONF + ".dpkg-dist").read_text(), True)
        good("upgraded over a changed conffile: the administrator's stays, the new one is beside it (.dpkg-dist)")
        with contextlib.suppress(Failed):
            reload()
        time.sleep(1.5)
        same("processes", system.pids(), before)
        same("the version that serves", serving_version(), build.after(build.VERSION, 1))
        traffic.check()
        why = next(line.strip() for line in output.splitlines() if "busy_poll" in line)
        good(f"a version that refuses the configuration: said at the upgrade ({why}; {' and '.join(files)}), refused at reload, and the old process serves on, 0 refused connections")
        root.path(CONF).write_text(config(echo, (PORT, SECOND), key="busy_wait"))
        reload()
        wait_until("the corrected configuration", 15, lambda: serving_version() == build.after(build.VERSION, 2))
        traffic.check()
    wait_until("the old process to end", 10, lambda: len(system.pids()) == len(before))
    text = log() if callable(log) else log.read_text()
    same("the log says why", "busy_poll" in text or not isinstance(log, pathlib.Path), True)
    good("the file corrected, a reload: the new version has taken over")


def check_io_uring_off(suite, packages, root, bind):
    """In a container whose profile forbids it: no word at the installation, all of them at the start."""
    words = Root(root.folder).argv("--as-pid2", "--pipe", "sh", "-c", f"apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends /packages/{packages['now'].name} && penstock run -c {CONF}; echo exit=$?", bind=bind)
    words = ["--system-call-filter=~@aio" if word == "--system-call-filter=@aio" else word for word in words]
    output = run(words, check=False, stdin=subprocess.DEVNULL)[1]
    if "exit=78" not in output or "io_uring cannot be used" not in output:
        raise Failed(f"a start without io_uring:\n{output[-1500:]}")
    said = next(line for line in output.splitlines() if "io_uring cannot be used" in line)
    good(f"io_uring forbidden: it installs; the start ends with 78 and says: {said.split('text=')[-1][:200]}")


# ---- with systemd


def show(system, unit, *names):
    text = system.run("systemctl", "show", unit, *(f"-p{name}" for name in names))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def main_pid(system, unit="penstock"):
    return int(show(system, unit, "MainPID")["MainPID"])


def check_sandbox(system):
    """What the kernel says about the process that systemd has confined, and what it can do all the same."""
    pid = system.pids()[0]
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    same("Seccomp", status["Seccomp"], "2")
    same("NoNewPrivs", status["NoNewPrivs"], "1")
    # A virtual machine may have taken CAP_SYS_RESOURCE from root itself: then nobody in it can raise a limit.
    has_resource = int(re.search(r"CapBnd:\s(\w+)", pathlib.Path("/proc/self/status").read_text())[1], 16) >> 24 & 1
    same("capabilities", int(status["CapEff"], 16), 1 << 10 | has_resource << 24)
    same("capabilities it may have", int(status["CapBnd"], 16), 1 << 10 | has_resource << 24)
    same("uid 0", status["Uid"].split()[0] == "0", False)
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    memlock, files = (re.search(rf"Max {name} +\S+ +(\S+)", limits)[1] for name in ("locked memory", "open files"))
    if has_resource:
        same("memlock", memlock, "unlimited")
        same("files", files, "1048576")
    else:
        files += " (root here lacks CAP_SYS_RESOURCE, so systemd can raise no limit; check_kernel.py's can)"
    rings = sum("io_uring" in os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    good(f"inside the sandbox: seccomp filter on, NoNewPrivs, only CAP_NET_BIND_SERVICE{' and CAP_SYS_RESOURCE' * has_resource}, uid {status['Uid'].split()[0]}, memlock {memlock}, {files} files; {rings} io_uring rings open")
    verdict = system.run("systemd-analyze", "security", "penstock.service").splitlines()[-1]
    score = float(re.search(r": (\d+\.\d+)", verdict)[1])
    if score > 1.7:
        raise Failed(verdict)
    good(f"systemd-analyze security: {verdict.lstrip('→ ')}")


def check_with_systemd(suite, packages, root, bind):
    echo = make_echo()
    with root.booted(bind=bind) as system:
        install(system, packages["now"])
        same("state", system.run("systemctl", "is-active", "penstock").strip(), "active")
        same("enabled", system.run("systemctl", "is-enabled", "penstock").strip(), "enabled")
        wait_until("the admin port", 10, lambda: "ready" in ask("/readyz"))
        good("with systemd as process 1: installed, enabled, active, /readyz says ready")
        root.path(CONF).write_text(config(echo, (PORT, 443)))
        system.run("systemctl", "reload", "penstock")
        wait_until("the port", 10, lambda: is_open(PORT) and is_open(443))
        good("one file edited, systemctl reload: a real byte went through, also through port 443")
        check_sandbox(system)
        root.path(CONF).write_text(config(echo, (PORT, SECOND)))
        system.run("systemctl", "reload", "penstock")
        wait_until("the second port", 10, lambda: is_open(SECOND))
        root.path(CONF).write_text("listeners: nonsense\n")
        code, output = system.run("systemctl", "reload", "penstock", check=False)
        same("reload of nonsense fails", code != 0, True)
        proxied(PORT)
        good("systemctl reload of a wrong file fails, and the old one serves on")
        root.path(CONF).write_text(config(echo, (PORT, SECOND)))
        with check_template(system, root, echo):
            check_upgrade_by_systemd(system, root, packages)
            check_refused(system, root, packages, echo, lambda: system.run("systemctl", "reload", "penstock"), lambda: system.run("journalctl", "-u", "penstock", "--no-pager"))
        check_file_log(system, root)
        check_restarts(system, root, echo)
        check_stop(system, root)
    echo.close()


def check_upgrade_by_systemd(system, root, packages):
    old = main_pid(system)
    following = build.after(build.VERSION, 1)
    with Traffic(PORT) as traffic:
        time.sleep(0.5)
        install(system, packages["next"])
        wait_until("the next version", 15, lambda: serving_version() == following)
        same("systemd's main process is the new one", main_pid(system) not in (0, old), True)
        same("state", show(system, "penstock", "ActiveState", "SubState", "NRestarts"), {"ActiveState": "active", "SubState": "running", "NRestarts": "0"})
        time.sleep(0.5)
        served = traffic.check()
        same("the old process and the instance's are still there", len(system.pids()), 3)
    wait_until("the old process to end", 10, lambda: len(system.pids()) == 2)
    same("state", system.run("systemctl", "is-active", "penstock", "penstock@edge").split(), ["active"] * 2)
    same("the instance's version", serving_version(ADMIN + 1), following)
    good(f"apt install of {following} under traffic, nothing else done: {served} connections, 0 refused; MainPID moved, 0 restarts, the old process drained and ended; the instance has the new version, too")


@contextlib.contextmanager
def check_template(system, root, echo):
    """An instance beside the service, for as long as the block lasts."""
    cpu = min(os.sched_getaffinity(0))
    file = root.path(EDGE_CONF)
    file.write_text(config(echo, (EDGE,), ADMIN + 1).replace("busy_poll: off", f'busy_poll: off, cpus: "{cpu}"'))
    system.run("chgrp", "penstock", EDGE_CONF)
    system.run("systemctl", "enable", "--now", "penstock@edge")
    wait_until("the instance", 10, lambda: is_open(EDGE))
    same("two services", len(system.pids()), 2)
    threads = [folder / "status" for folder in pathlib.Path(f"/proc/{max(system.pids(), key=lambda pid: int(start_time(pid)))}/task").iterdir()]
    pinned = [text for text in (file.read_text() for file in threads) if re.search(rf"^Cpus_allowed_list:\t{cpu}$", text, re.M)]
    if os.cpu_count() > 1:
        same("threads pinned to one CPU", len(pinned), 1)
    yield
    system.run("systemctl", "stop", "penstock@edge")
    proxied(PORT)
    same("one service", len(system.pids()), 1)
    file.write_text(file.read_text().replace("busy_poll", "busy_wait"))  # as the next version wants it
    good(f"penstock@edge serves /etc/penstock/edge.yaml beside penstock, its worker pinned to CPU {cpu}, and stops alone")


def check_file_log(system, root):
    """As the examples tell."""
    examples, log = "/usr/share/doc/penstock/examples/file-log", root.path("/var/log/penstock/penstock.log")
    system.run("sh", "-c", f"mkdir -p /etc/systemd/system/penstock.service.d && mkdir -m 750 /var/log/penstock && cp {examples}/log-to-file.conf /etc/systemd/system/penstock.service.d/ && cp {examples}/logrotate /etc/logrotate.d/penstock && systemctl daemon-reload && systemctl restart penstock")
    wait_until("the port", 10, lambda: is_open(PORT))
    wait_until("the log to be in the file", 5, lambda: "ready" in log.read_text())
    system.run("logrotate", "-f", "/etc/logrotate.d/penstock")
    same("after the rotation", (log.stat().st_size, log.with_name("penstock.log.1").exists()), (0, True))
    system.run("systemctl", "reload", "penstock")
    wait_until("more of the log", 10, lambda: log.stat().st_size > 0)
    same("it is cut, not a hole", log.read_bytes()[:1] != b"\0", True)
    system.run("sh", "-c", "rm -r /etc/systemd/system/penstock.service.d /etc/logrotate.d/penstock && systemctl daemon-reload && systemctl restart penstock")
    wait_until("the port", 10, lambda: is_open(PORT))
    good("the example of a file log: written, rotated by logrotate -f, written on from its beginning")


def check_restarts(system, root, echo):
    """Killed: started again. A wrong file at start: not tried again."""
    old = main_pid(system)
    os.kill(system.pids()[0], signal.SIGKILL)
    wait_until("another process", 15, lambda: main_pid(system) not in (0, old) and is_open(PORT))
    good("killed: systemd has started it again, and it serves")
    stuck = system.pids()[0]
    os.kill(stuck, signal.SIGSTOP)
    wait_until("the watchdog", 60, lambda: stuck not in system.pids(), step=0.5)
    wait_until("the port", 15, lambda: is_open(PORT))
    same("the journal names the watchdog", "Watchdog timeout" in system.run("journalctl", "-u", "penstock", "--no-pager"), True)
    good("stopped in its tracks (SIGSTOP): the watchdog has killed it after 30 s, and it serves again")
    text = root.path(CONF).read_text()
    root.path(CONF).write_text("listeners: nonsense\n")
    system.run("systemctl", "restart", "penstock", check=False)
    time.sleep(3)
    state = show(system, "penstock", "ActiveState", "ExecMainStatus", "NRestarts")
    same("a start with a wrong file", (state["ActiveState"], state["ExecMainStatus"]), ("failed", "78"))
    root.path(CONF).write_text(text)
    system.run("mkdir", "-p", "/run/systemd/system/penstock.service.d")
    system.run("sh", "-c", "printf '[Service]\\nSystemCallFilter=~@aio\\n' >/run/systemd/system/penstock.service.d/x.conf && systemctl daemon-reload")
    system.run("systemctl", "restart", "penstock", check=False)
    same("a start without io_uring", show(system, "penstock", "ExecMainStatus")["ExecMainStatus"], "78")
    said = re.findall(r"io_uring cannot be used: .*", system.run("journalctl", "-u", "penstock", "--no-pager"))[-1]
    good(f"io_uring forbidden by the unit: 78, and the journal says: {said}")
    system.run("sh", "-c", "rm /run/systemd/system/penstock.service.d/x.conf && systemctl daemon-reload")
    system.run("systemctl", "start", "penstock")
    wait_until("the port", 10, lambda: is_open(PORT))
    good("a start with a wrong file ends with 78 and is not tried again")


def check_stop(system, root):
    with Traffic(PORT, 0) as traffic:
        stopping = system.spawn("systemctl", "stop", "penstock", log=f"{root.folder}.stop.log")
        wait_until("the port to close", 5, lambda: not is_open(PORT))
        traffic.check()
        traffic.lasting.close()
        stopping.wait(10)
    same("processes", system.pids(), [])
    same("state", system.run("systemctl", "is-failed", "penstock", check=False)[1].strip(), "inactive")
    good("systemctl stop: the listener closed, the connection that was there served to its end, then the process ended by itself")
    system.run("systemctl", "start", "penstock", "penstock@edge")
    wait_until("both", 10, lambda: is_open(PORT) and is_open(EDGE))
    system.apt("remove", "penstock")
    same("processes after removal", system.pids(), [])
    same("penstock.yaml after removal", root.path(CONF).exists(), True)
    system.apt("purge", "penstock")
    same("/etc/penstock after purge", root.path("/etc/penstock").exists(), False)
    same("/var/log/penstock after purge", root.path("/var/log/penstock").exists(), False)
    same("units", system.run("systemctl", "list-unit-files", "penstock*", "--no-legend", check=False)[1].strip(), "")
    same("units that are wanted", [str(link) for link in root.path("/etc/systemd/system").glob("*.wants/penstock*")], [])
    good("apt remove stops the service and its instance and keeps /etc/penstock; apt purge leaves nothing")


def check_in_machine(suite, packages):
    root, bind = fresh_system(suite, packages, "kernel", "systemd-sysv", "kmod")
    root.apt("install", "--no-install-recommends", f"/packages/{packages['now'].name}", f"/packages/{packages['bench'].name}", bind=bind)
    check_kernel.check(root)


# ---- all of it


def check_suite(suite, commit):
    print(f"{suite}:", flush=True)
    began = time.monotonic()
    packages = build.packages(suite, commit)
    good(f"built twice, in two folders with other clocks and words: the same bytes ({', '.join(name for name in packages['digests'] if build.VERSION + '~' in name)})")
    check_lintian(suite, packages)
    check_make_install(packages["now"])
    plain = fresh_system(suite, packages, "plain")
    forbidden = fresh_system(suite, packages, "forbidden")
    systemd = fresh_system(suite, packages, "systemd", "systemd-sysv", "logrotate")
    with alone():
        check_without_systemd(suite, packages, *plain)
        check_io_uring_off(suite, packages, *forbidden)
        check_with_systemd(suite, packages, *systemd)
    if suite == "bookworm":  # whose kernel user-mode Linux is
        check_in_machine(suite, packages)
    print(f"{suite}: {time.monotonic() - began:.0f} s", flush=True)


def main():
    if os.geteuid() != 0:
        sys.exit("check.py: it makes containers and wants root")
    commit = run(["git", "-C", build.TREE, "rev-parse", "--short=12", "HEAD"], check=False)[1].strip() or "unknown"
    for what in sys.argv[1:] or ["bookworm"]:
        try:
            if what == "rpm":
                check_rpm.check(commit)
            else:
                check_suite(what, commit)
        except Exception as error:
            totals["failed"] += 1
            print(f"  FAILED  {error}", flush=True)
            if not isinstance(error, (Failed, AssertionError)):
                traceback.print_exc()
    print("packages: " + ", ".join(f"{count} {what}" for what, count in totals.items()))
    sys.exit(totals["failed"] > 0)


if __name__ == "__main__":
    main()
