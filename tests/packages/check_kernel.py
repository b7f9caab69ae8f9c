"""The unit as the package installs it, started by systemd as process 1 of user-mode Linux. What a container of this machine cannot show where
this machine's kernel has no TLS, or its root may raise no limit: the kernel is Debian's own, and its root lacks no right. The machine runs on
a folder (hostfs), has it look around and move bytes, leaves what it saw in /seen and ends."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from suite import Failed, good, same
import pki
from penstock import Metrics
from settings import CACHE
from traffic import ADMIN, CONF

TLS_UP, TLS_DOWN, UP, DOWN = 6651, 6652, 443, 444
MARKED, SOURCE, DISCARD = 7001, 7002, 7003
STREAMS = {  # by what penstock does with them: port, options
    "tls-up": (TLS_UP, "--tls --insecure"),
    "tls-down": (TLS_DOWN, "--tls --insecure --down"),
    "up": (UP, ""),
    "down": (DOWN, "--down"),
}
# This kernel cannot follow changes of keys, which OpenSSL does not make by itself.
TLS = "tls: { cert_file: /etc/penstock/tls/gw.pem, key_file: /etc/penstock/tls/gw.key, ktls: require, ktls_rekey: close }"
CONFIG = f"""listeners:
  - {{ name: tls-up, bind: "127.0.0.1:{TLS_UP}", forward: "127.0.0.1:{MARKED}", {TLS} }}
  - {{ name: tls-down, bind: "127.0.0.1:{TLS_DOWN}", forward: "127.0.0.1:{SOURCE}", {TLS} }}
  - {{ name: up, bind: "127.0.0.1:{UP}", forward: "127.0.0.1:{DISCARD}" }}
  - {{ name: down, bind: "127.0.0.1:{DOWN}", forward: "127.0.0.1:{SOURCE}" }}
admin: {{ listen: "127.0.0.1:{ADMIN}" }}
egress: {{ allow: {{ networks: [127.0.0.0/8], ports: [{MARKED}, {SOURCE}, {DISCARD}] }} }}
"""
LOOK = f"""#!/bin/bash
cd /seen
scrape() {{ exec 3<>/dev/tcp/127.0.0.1/{ADMIN}; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3 >$1.metrics; exec 3>&-; }}
uname -r >release
systemctl show penstock -p ActiveState,MainPID,ExecMainStatus,NRestarts >state
pid=$(systemctl show penstock -p MainPID --value)
cat /proc/$pid/status >status
cat /proc/$pid/limits >limits
systemd-analyze security penstock.service >security
cat /proc/modules >modules
sink() {{ penstock-bench sink $1 --listen 127.0.0.1:$2 >$1.sink & while [ ! -s $1.sink ]; do sleep 0.1; done; }}
sink marked {MARKED}; sink source {SOURCE}; sink discard {DISCARD}
scrape before
""" + "".join(f"penstock-bench load stream --to 127.0.0.1:{port} -t 1 -c 2 -b 65536 {how} >{name}.json 2>&1; scrape {name}\n" for name, (port, how) in STREAMS.items()) + """
journalctl -u penstock --no-pager >journal
penstock doctor >doctor 2>&1
echo $? >>doctor
touch done
"""
UNIT = """[Unit]
After=multi-user.target penstock.service
[Service]
Type=oneshot
ExecStart=/bin/bash /seen/look
ExecStopPost=/bin/systemctl poweroff --force
"""


def kernel():
    """Its program, and the folder of its modules, as tests/lab/deps.sh ktls leaves them."""
    for root in (pathlib.Path("/"), CACHE / "user-mode-linux"):
        if (root / "usr/bin/linux.uml").exists():
            return root / "usr/bin/linux.uml", root / "usr/lib/uml/modules"
    raise Failed("there is no user-mode Linux; tests/lab/deps.sh packages installs it")


def prepare(root, modules):
    group = next(int(line.split(":")[2]) for line in root.path("/etc/group").read_text().splitlines() if line.startswith("penstock:"))
    folder = root.path("/seen")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "ca").mkdir()
    for file, name in zip(pki.Authority(folder / "ca").issue("gw.test"), ("gw.pem", "gw.key")):
        shutil.copy(file, root.path(f"/etc/penstock/tls/{name}"))
        os.chown(root.path(f"/etc/penstock/tls/{name}"), 0, group)
        root.path(f"/etc/penstock/tls/{name}").chmod(0o640)
    root.path(CONF).write_text(CONFIG)
    (folder / "look").write_text(LOOK)
    root.path("/etc/systemd/system/look.service").write_text(UNIT)
    wants = root.path("/etc/systemd/system/multi-user.target.wants/look.service")
    wants.unlink(missing_ok=True)
    wants.symlink_to("/etc/systemd/system/look.service")
    # Where a distribution has them; the unit asks for the kernel's TLS (modprobe@tls.service).
    shutil.copytree(modules, root.path("/lib/modules"), dirs_exist_ok=True)
    return folder


def boot(program, root):
    words = ["mem=768M", "root=98:0", "rootfstype=hostfs", f"rootflags={root.folder}", "rw", "init=/lib/systemd/systemd", "quiet", "systemd.show_status=0", "con=null", "con0=null,fd:1"]
    with open(f"{root.folder}.uml.log", "wb") as log:
        machine = subprocess.Popen([program, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)
    with contextlib.suppress(subprocess.TimeoutExpired):
        machine.wait(90)
    with contextlib.suppress(ProcessLookupError):  # its processes are processes here
        os.killpg(machine.pid, signal.SIGKILL)
    machine.wait()
    if not root.path("/seen/done").exists():
        raise Failed(f"the machine did not come to its end; see {root.folder}.uml.log")


def check(root):
    program, modules = kernel()
    folder = prepare(root, modules)
    boot(program, root)
    seen = {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}
    check_limits(seen)
    check_bytes(seen)
    same("penstock doctor", (re.search(r"(\d+) fail$", seen["doctor"], re.M)[1], seen["doctor"].splitlines()[-1]), ("0", "0"))
    good(f"penstock doctor, beside it: {seen['doctor'].splitlines()[-2]}")
    verdict = seen["security"].splitlines()[-1].lstrip("→ ")
    if float(re.search(r": (\d+\.\d+)", verdict)[1]) > 1.7:
        raise Failed(verdict)
    good(f"there, too: {verdict}")


def check_limits(seen):
    state = dict(line.split("=") for line in seen["state"].splitlines())
    same("the unit", (state["ActiveState"], state["NRestarts"]), ("active", "0"))
    status = dict(line.split(":\t", 1) for line in seen["status"].splitlines() if ":\t" in line)
    same("confined", (status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16), int(status["CapBnd"], 16)), ("2", "1", 1 << 10 | 1 << 24, 1 << 10 | 1 << 24))
    memlock, files = (re.search(rf"Max {name} +(\S+) +(\S+)", seen["limits"]).groups() for name in ("locked memory", "open files"))
    same("limits", (memlock, files), (("unlimited",) * 2, ("1048576",) * 2))
    same("the kernel's TLS is loaded", bool(re.search(r"^tls ", seen["modules"], re.M)), True)
    good(f"Linux {seen['release'].strip()}, systemd as process 1: the unit is active, seccomp filter on, NoNewPrivs, CAP_NET_BIND_SERVICE and CAP_SYS_RESOURCE only, memlock unlimited, {files[0]} files, module tls loaded")


def scrape(seen, name):
    return Metrics(seen[f"{name}.metrics"].partition("\n\n")[2])  # behind HTTP's header


def check_bytes(seen):
    before = scrape(seen, "before")
    for name, (port, _) in STREAMS.items():
        after = scrape(seen, name)

        def gone(metric, before=before, after=after, **labels):
            return int(after(metric, **labels) - before(metric, **labels))

        result = json.loads(seen[f"{name}.json"].splitlines()[-1])
        same(f"{name}: errors", result["errors"], {})
        lane = "to_client" if name.endswith("down") else "to_broker"
        spliced, copied = (gone("penstock_bytes_total", dir=lane, path=path) for path in ("splice", "copy"))
        wanted = result["work"]["bytes"]
        if spliced < 9 * copied or spliced + copied < wanted:
            raise Failed(f"{name}: {spliced} bytes spliced, {copied} copied, of {wanted}")
        same(f"{name}: slower ways", gone("penstock_path_fallback_total"), 0)
        took = f"port {port}: {spliced + copied >> 20} MiB, {100 * spliced // (spliced + copied)} % of it spliced"
        if name.startswith("tls"):
            same(f"{name}: the kernel took", (gone("penstock_ktls_total", dir="send"), gone("penstock_ktls_total", dir="recv"), gone("penstock_ktls_fallback_total")), (2, 2, 0))
            took += f", both directions of 2 connections in the kernel's TLS ({result['beside']['tls']})"
        good(f"inside the sandbox, {lane}, {took}")
        before = after
