"""The rpm, built here (Debian) and installed by rpm into a clean system that has the libraries it asks for: what it requires, whether it runs,
whether an upgrade keeps what is served. The system is a Debian, the nearest there is to a Fedora where only Debian's mirrors can be reached."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import time

from suite import Failed, good, same
import build
from roots import Root, run, wait_until
from traffic import CONF, Traffic, alone, config, is_open, make_echo, proxied, serving_version

# Debian's names of what Fedora's are called otherwise.
LIBRARIES = ("libc-ares2", "libjansson4", "libmicrohttpd12", "libssl3", "liburing2", "libyaml-0-2", "zlib1g", "libipsec-mb1", "passwd")


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


def packages(commit):
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


def check_rpmlint(files):
    output = run(["rpmlint", "-c", build.TREE / "packaging/rpm/rpmlint.toml", *files, build.TREE / "packaging/rpm/penstock.spec"], check=False)[1]
    closing = re.search(r"(\d+) packages and 1 specfiles checked; (\d+) errors, (\d+) warnings", output)
    if not closing or closing.groups() != (str(len(files)), "0", "0"):
        raise Failed(f"rpmlint:\n{output}")
    for file in files:
        inside = run(["rpm", "-qpl", file]).splitlines()
        for program in (name for name in inside if name.startswith("/usr/bin/")):
            if f"/usr/share/man/man1/{program.rpartition('/')[2]}.1.gz" not in inside:
                raise Failed(f"{file.name}: no manual page for {program}")
    good(f"rpmlint: {closing[0]}; every program has its manual page")


def _rpm(root, *words, check=True):
    return run(["rpm", "--root", root.folder, *words], check=check)


SYSTEM = """Name: debian
Version: 12
Release: 1
Summary: What is in a root that was made by debootstrap
License: none
BuildArch: noarch
AutoReqProv: no
{}
%description
{}
%files
"""


def system_rpm(root, folder):
    """debootstrap and apt have filled this root, so rpm knows nothing of it. A package without files says what is there, as rpm's own tool finds
    it in the libraries: names, and each version of their symbols. Then rpm itself judges whether penstock can be installed."""
    cache = run(["chroot", root.folder, "/sbin/ldconfig", "-p"])
    libraries = sorted({root.path(name).resolve() for name in re.findall(r"=> (\S+)", cache)})
    provided = set(run(["/usr/lib/rpm/elfdeps", "--provides", *libraries]).split("\n")) - {""}
    if "GLIBC_2.34" in " ".join(provided):
        provided.add("rtld(GNU_HASH)")  # glibc's packages say so by hand
    provided |= {file for file in ("/bin/sh",) if root.path(file).exists()}
    provided |= {"coreutils"} if root.path("/usr/bin/readlink").exists() and root.path("/usr/bin/unlink").exists() else set()
    provided |= {"shadow-utils"} if root.path("/usr/sbin/useradd").exists() and root.path("/usr/sbin/groupadd").exists() else set()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    spec = folder / "debian.spec"
    spec.write_text(SYSTEM.format("\n".join(f"Provides: {word}" for word in sorted(provided)), "Nothing but its provides."))
    run(["rpmbuild", "-bb", "--define", f"_topdir {folder}", spec])
    return next(folder.glob("RPMS/noarch/*.rpm"))


def check_requirements(root, file):
    """Refused where its libraries are not known to be; accepted where they are."""
    wanted = sorted(set(_requires(file)))
    sonames = sorted({word.split("(")[0] for word in wanted if ".so." in word})
    if any("wolfssl" in name or "zookeeper" in name for name in sonames):
        raise Failed(f"it requires {wanted}")
    licences = run(["rpm", "-qp", "--licensefiles", file]).split()
    same("licences", [name.rpartition("/")[2] for name in licences], ["LICENSE", "wolfssl.copyright", "zookeeper.copyright", "zookeeper.license"])
    glibc = max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([\d.]+)", " ".join(wanted)))
    inside = [line for line in run(["rpm", "-qp", "--provides", file]).splitlines() if "bundled" in line]
    good(f"requires {', '.join([word for word in wanted if '.so.' not in word] + sonames)}; glibc {'.'.join(map(str, glibc))}; inside: {', '.join(inside)}")
    status, refusal = _rpm(root, "-i", file, check=False)
    if status == 0 or "Failed dependencies" not in refusal or not all(name in refusal for name in sonames):
        raise Failed(f"rpm -i where rpm knows of no library:\n{refusal}")
    good(f"rpm -i where rpm knows of no library: refused, with {len(refusal.splitlines()) - 1} lines of what lacks")
    _rpm(root, "-i", system_rpm(root, build.OUTPUT / "rpm/system"))


def check(commit):
    now, following = packages(commit)
    check_rpmlint(now)
    main, later = (next(file for file in files if re.match(r"penstock-\d", file.name)) for files in (now, following))
    root = Root.fresh("bookworm", build.OUTPUT / "rpm/root")
    root.apt("update")
    root.apt("install", "--no-install-recommends", *LIBRARIES)
    check_requirements(root, main)
    echo_log = pathlib.Path(f"{root.folder}.penstock.log")
    echo_log.unlink(missing_ok=True)
    with alone():
        check_life(root, main, later, echo_log)


def check_life(root, main, later, log):
    echo = make_echo()
    said = _rpm(root, "-i", main)
    same("an installation judges no configuration", "penstock.yaml" in said, False)
    same("rpm -V", _rpm(root, "-V", "penstock").strip(), "")
    user = re.search(r"^penstock:.*", root.path("/etc/passwd").read_text(), re.M)[0]
    good(f"rpm --root ... -i, all it requires provided: installed, rpm -V finds nothing changed; its user: {user}")
    with root.started("--as-pid2", "sleep", "infinity") as system:
        good(f"its program runs: {system.run('penstock', 'version').splitlines()[0]}")
        text = config(echo)
        root.path(CONF).write_text(text)
        system.spawn("setpriv", "--reuid=penstock", "--regid=penstock", "--clear-groups", "/usr/bin/penstock", "run", "-c", CONF, log=log)
        wait_until("the port", 10, lambda: is_open(6650))
        good("a real byte went through and came back")
        with Traffic(6650) as traffic:
            _rpm(root, "-U", later)
            os.kill(system.pids()[0], signal.SIGHUP)
            wait_until("the next version", 15, lambda: serving_version() == build.after(build.VERSION, 1))
            time.sleep(0.5)
            served = traffic.check()
        wait_until("the old process to end", 10, lambda: len(system.pids()) == 1)
        if root.path(CONF).read_text() != text:
            raise Failed("the upgrade has changed penstock.yaml")
        good(f"rpm -U to {build.after(build.VERSION, 1)}, then SIGHUP, under traffic: {served} connections, 0 refused; penstock.yaml is the administrator's")
        check_refused(root, main, system)
        check_removal(root, system)
    echo.close()


def check_refused(root, other, system):
    before = system.pids()
    root.path(CONF).write_text("listeners: nonsense\n")
    said = _rpm(root, "-U", "--oldpackage", other)
    same("refused", re.findall(r"this version refuses (\S+),", said), [CONF])
    same("processes", system.pids(), before)
    proxied(6650)
    good(f"rpm -U to a version that refuses the configuration: said ({next(line for line in said.splitlines() if 'nonsense' in line or 'listeners' in line).strip()}), and the old process serves on")


def check_removal(root, system):
    """rpm enters the root by chroot: /proc is all it lacks there of what it would see inside of the container."""
    link = root.path("/etc/systemd/system/multi-user.target.wants/penstock@edge.service")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/usr/lib/systemd/system/penstock@.service")
    run(["unshare", "--mount", "sh", "-c", 'mount --bind /proc "$1/proc" && exec rpm --root "$1" -e penstock', "sh", root.folder])
    same("processes after removal", system.pids(), [])
    same("an instance that was enabled", link.is_symlink(), False)
    if root.path("/usr/bin/penstock").exists() or not root.path(CONF + ".rpmsave").exists():
        raise Failed("after rpm -e there is a program, or the changed configuration is gone")
    good("rpm -e: the process has drained and ended, the program is gone, no instance is enabled, the changed configuration kept as penstock.yaml.rpmsave")
