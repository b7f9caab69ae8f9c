"""Makes the packages of this tree in a clean system that has its Build-Depends and nothing else: twice, elsewhere, in other words and
with other clocks, which must give the same bytes; then as the next version; and a version after that which refuses a configuration of now."""
import hashlib
import pathlib
import shutil

from suite import Failed
from roots import CACHE, CLEAN, Root, base, run

TREE = pathlib.Path(__file__).resolve().parents[2]
OUTPUT = TREE / "build/packages/check"
VERSION = (TREE / "packaging/common/VERSION").read_text().strip()


def after(version, steps):
    head, _, last = version.rpartition(".")
    return f"{head}.{int(last) + steps}"


def build_root(suite):
    """Kept in the cache as long as what it has been made for stays the same."""
    control = TREE / "packaging/deb/control"
    folder = CACHE / "roots" / f"{suite}-build"
    made_for = folder / ".made"
    if made_for.exists() and made_for.read_text() == control.read_text():
        return Root(folder)
    print(f"  installing Build-Depends in {folder} (once)", flush=True)
    made_for.unlink(missing_ok=True)
    root = Root.fresh(suite, folder, base(suite))
    shutil.copytree(control.parent, root.path("/needs/debian"))
    root.apt("update")
    root.apt("install", "--no-install-recommends", "build-essential", "lintian")
    root.apt("build-dep", "--no-install-recommends", "/needs")
    made_for.write_text(control.read_text())
    return root


def _copy_tree(root, where):
    folder = root.path(where)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tar = f"tar -c --exclude=./build --exclude=./.git --exclude=__pycache__ -C {TREE} . | tar -x -C {folder}"
    run(["sh", "-c", tar])


def _make(root, where, commit, version, env=None):
    _copy_tree(root, where)
    root.run("make", "-C", where, "deb", f"COMMIT={commit}", f"VERSION={version}", env=env)
    return root.path(where) / "build/packages"


def _digests(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("*.deb"))}


def reproducible(root, commit):
    """The packages, and that another build of them gives the same."""
    one = _make(root, "/build/one", commit, VERSION)
    other = _make(root, "/srv/a/longer/path/than/that", commit, VERSION, {**CLEAN, "TZ": "Pacific/Auckland", "LC_ALL": "C", "DEB_BUILD_OPTIONS": "parallel=1", "HOME": "/nonexistent"})
    first, second = _digests(one), _digests(other)
    if first != second or len(first) < 4:
        raise Failed(f"two builds differ:\n{first}\n{second}")
    return one


def refusing(package, version):
    """The same with another version and another name for `busy_poll`, as if that key had been renamed: a file that says it is refused. Its
    conffile is another, too. Both names and versions are of one length, so that the program stays a program."""
    work = package.parent / "refusing"
    shutil.rmtree(work, ignore_errors=True)
    run(["dpkg-deb", "-R", package, work])
    control = work / "DEBIAN/control"
    full = next(line.split()[1] for line in control.read_text().splitlines() if line.startswith("Version:"))
    old, _, suffix = full.partition("~")
    control.write_text(control.read_text().replace(f"Version: {full}", f"Version: {version}~{suffix}"))
    program = work / "usr/bin/penstock"
    code = program.read_bytes()
    if code.count(b"process.busy_poll\0") != 1 or old.encode() not in code or len(old) != len(version):
        raise Failed("the program does not look as this test knows it")
    program.write_bytes(code.replace(b"process.busy_poll\0", b"process.busy_wait\0").replace(old.encode(), version.encode()))
    conf = work / "etc/penstock/penstock.yaml"
    conf.write_text(conf.read_text().replace("busy_poll", "busy_wait") + "\n# A line of the new version.\n")
    target = package.parent / package.name.replace(full, f"{version}~{suffix}")
    run(["dpkg-deb", "--root-owner-group", "-b", work, target])
    shutil.rmtree(work)
    return target


def packages(suite, commit):
    """By name: `now`, `next`, `refusing`: the package penstock; `changes`: for lintian."""
    root = build_root(suite)
    target = OUTPUT / suite
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    folder = reproducible(root, commit)
    for file in folder.iterdir():
        if file.is_file():
            shutil.copy(file, target)
    following = after(VERSION, 1)
    for file in _make(root, "/build/one", commit, following).glob("*.deb"):
        shutil.copy(file, target)
    one = {
        "now": next(target.glob(f"penstock_{VERSION}~*.deb")),
        "bench": next(target.glob(f"penstock-bench_{VERSION}~*.deb")),
        "next": next(target.glob(f"penstock_{following}~*.deb")),
        "changes": next(target.glob(f"penstock_{VERSION}~*.changes")),
    }
    one["refusing"] = refusing(one["next"], after(VERSION, 2))
    one["digests"] = _digests(target)
    one["root"] = root
    return one
