"""The rpm, built here (Debian) and installed by rpm into a clean system that has the libraries it asks for and no rpm database: what it
requires, whether it runs, whether an upgrade keeps what is served."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import time

import build
from roots import Failed, Root, run, wait_until
from traffic import Echo, Traffic, is_open

# Debian's names of what Fedora's are called otherwise.
LIBRARIES = ("libc-ares2", "libjansson4", "libmicrohttpd12", "libssl3", "liburing2", "libyaml-0-2", "zlib1g", "passwd")


def _make(folder, commit, version, *words, env=None):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(["sh", "-c", f"tar -c --exclude=./build --exclude=./.git --exclude=__pycache__ -C {build.TREE} . | tar -x -C {folder}"])
    run(["make", "-C", folder, "rpm", f"COMMIT={commit}", f"VERSION={version}", *words], env={**os.environ, **(env or {})})
    return sorted((folder / "build/packages").glob("*.rpm"))


def _digests(files):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _requires(file):
    return [line for line in run(["rpm", "-qp", "--requires", file]).splitlines() if not line.startswith("warning:")]


def packages(commit, good):
    output = build.OUTPUT / "rpm"
    one = _make(output / "one", commit, build.VERSION)
    other = _make(output / "another/place/with/a/longer/name", commit, build.VERSION, env={"TZ": "Pacific/Auckland", "LC_ALL": "C"})
    if _digests(one) != _digests(other) or len(one) != 3:
        raise Failed(f"two builds differ:\n{_digests(one)}\n{_digests(other)}")
    good(f"built twice, in two folders, in other time zones: the same bytes ({', '.join(_digests(one))})")
    shared = _make(output / "shared", commit, build.VERSION, "RPM=--without bundled")
    wants = " ".join(_requires(shared[0]))
    if "libwolfssl.so" not in wants or "libzookeeper_mt.so" not in wants:
        raise Failed(f"--without bundled requires {wants}")
    good("--without bundled: requires " + ", ".join(re.findall(r"lib(?:wolfssl|zookeeper_mt)\.so\.\d+", wants)))
    return one, _make(output / "next", commit, build.after(build.VERSION, 1))


def check_rpmlint(files, good):
    output = run(["rpmlint", "-c", build.TREE / "packaging/rpm/rpmlint.toml", *files, build.TREE / "packaging/rpm/penstock.spec"], check=False)[1]
    closing = re.search(r"(\d+) packages and 1 specfiles checked; (\d+) errors, (\d+) warnings", output)
    if not closing or closing.groups() != (str(len(files)), "0", "0"):
        raise Failed(f"rpmlint:\n{output}")
    good(f"rpmlint: {closing[0]}")


def check_requirements(root, file, good):
    """Each library it asks for is one that the system has by that very name."""
    have = run(["chroot", root.folder, "/sbin/ldconfig", "-p"])
    wanted = _requires(file)
    sonames = sorted({word.split("(")[0] for word in wanted if ".so." in word})
    missing = [name for name in sonames if f"{name} " not in have]
    others = sorted({word for word in wanted if ".so." not in word and not word.startswith(("rpmlib(", "config(", "rtld("))})
    if missing or others != ["/bin/sh", "shadow-utils"] or any("wolfssl" in name or "zookeeper" in name for name in sonames):
        raise Failed(f"it requires {wanted}; not there: {missing}")
    good(f"requires {', '.join(others + sonames)}; wolfSSL and ZooKeeper's client are inside ({', '.join(line for line in run(['rpm', '-qp', '--provides', file]).splitlines() if 'bundled' in line)})")


def _rpm(root, *words):
    return run(["rpm", "--root", root.folder, *words])


def check(commit, good, config, ask, alone):
    now, following = packages(commit, good)
    check_rpmlint(now, good)
    main, later = (next(file for file in files if re.match(r"penstock-\d", file.name)) for files in (now, following))
    root = Root.fresh("bookworm", build.OUTPUT / "rpm/root")
    root.apt("update")
    root.apt("install", "--no-install-recommends", *LIBRARIES)
    check_requirements(root, main, good)
    echo_log = pathlib.Path(f"{root.folder}.penstock.log")
    echo_log.unlink(missing_ok=True)
    with alone():
        check_life(root, main, later, echo_log, good, config, ask)


def check_life(root, main, later, log, good, config, ask):
    conf = "/etc/penstock/penstock.yaml"
    echo = Echo()
    # --nodeps: its database is empty; what it asks for was looked up above.
    _rpm(root, "-i", "--nodeps", main)
    if _rpm(root, "-V", "--nodeps", "penstock").strip():
        raise Failed(_rpm(root, "-V", "--nodeps", "penstock"))
    user = re.search(r"^penstock:.*", root.path("/etc/passwd").read_text(), re.M)[0]
    good(f"rpm --root ... -i: installed, rpm -V finds nothing changed; its user: {user}")
    with root.started("--as-pid2", "sleep", "infinity") as system:
        good(f"its program runs: {system.run('penstock', 'version').splitlines()[0]}")
        text = config(echo)
        root.path(conf).write_text(text)
        system.spawn("setpriv", "--reuid=penstock", "--regid=penstock", "--clear-groups", "/usr/bin/penstock", "run", "-c", conf, log=log)
        wait_until("the port", 10, lambda: is_open(6650))
        good("a real byte went through and came back")
        with Traffic(6650) as traffic:
            _rpm(root, "-U", "--nodeps", later)
            os.kill(system.pids()[0], signal.SIGHUP)
            wait_until("the next version", 15, lambda: f'version="{build.after(build.VERSION, 1)}"' in ask("/metrics"))
            time.sleep(0.5)
            served = traffic.check()
        wait_until("the old process to end", 10, lambda: len(system.pids()) == 1)
        if root.path(conf).read_text() != text:
            raise Failed("the upgrade has changed penstock.yaml")
        good(f"rpm -U to {build.after(build.VERSION, 1)}, then SIGHUP, under traffic: {served} connections, 0 refused; penstock.yaml is the administrator's")
        os.kill(system.pids()[0], signal.SIGTERM)
        wait_until("the end", 10, lambda: not system.pids())
    _rpm(root, "-e", "penstock")
    if root.path("/usr/bin/penstock").exists() or not root.path(conf + ".rpmsave").exists():
        raise Failed("after rpm -e there is a program, or the changed configuration is gone")
    good("rpm -e: the program is gone, the changed configuration kept as penstock.yaml.rpmsave")
    echo.close()
