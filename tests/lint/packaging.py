#!/usr/bin/env python3
"""What packages bring, as `make install-data` has put it into a folder: does it fit together?

usage: packaging.py FOLDER      (the units and configurations of the tree are read beside it)

A link in a document leads to something that is there, in the tree and as it is installed; no path of the sources stands where only the package
is. penstock@.service is penstock.service with the instance's names. What 60-penstock.conf gives to connections are no ports that examples
listen at, since a start would find them in use.
"""
import difflib
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
COMMON = TREE / "packaging/common"
LINK = re.compile(r"\[[^]]*\]\(([^)#]+)(?:#[^)]*)?\)")
OF_SOURCES = re.compile(r"\b(?:docs/(?:adr|[A-Z]+[A-Z-]*\.md)|conf/[a-z-]+\.yaml|penstock\.yaml beside this)")
mistakes = []


def check_links(root, file):
    for target in LINK.findall(file.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        place = root / target.lstrip("/") if target.startswith("/") else file.parent / target
        if not place.exists():
            mistakes.append(f"{file.relative_to(root)}: a dead link, {target}")


def check_documents(folder):
    documents = sorted(folder.glob("usr/share/doc/*/*.md"))
    if len(documents) < 6:
        mistakes.append(f"{len(documents)} documents are installed; there ought to be six or more")
    for file in documents:
        check_links(folder, file)
    for file in (file for file in folder.rglob("*") if file.is_file()):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            for path in OF_SOURCES.findall(line):
                mistakes.append(f"{file.relative_to(folder)}:{number}: names {path}, which no package brings")


INSTANCE = {
    "Description=penstock, gateway": "Description=penstock %i, gateway",
    "/etc/penstock/penstock.yaml": "/etc/penstock/%i.yaml",
    "RuntimeDirectory=penstock": "RuntimeDirectory=penstock-%i",
    "StateDirectory=penstock": "StateDirectory=penstock/%i",
}


def settings(name):
    return [line for line in (COMMON / name).read_text().splitlines() if line and not line.startswith("#")]


def check_units():
    single, template = settings("penstock.service"), settings("penstock@.service")
    for ours, theirs in INSTANCE.items():
        single = [line.replace(ours, theirs) for line in single]
    for line in difflib.unified_diff(single, template, "penstock.service, as an instance", "penstock@.service", n=0, lineterm=""):
        mistakes.append(line)
    for name in ("penstock.service", "penstock@.service"):
        if OF_SOURCES.search((COMMON / name).read_text()):
            mistakes.append(f"{name}: names a file of the sources")


def check_ports():
    text = (COMMON / "60-penstock.conf").read_text()
    low, high = map(int, re.search(r"^#net\.ipv4\.ip_local_port_range = (\d+) (\d+)$", text, re.M).groups())
    for file in sorted((TREE / "conf").glob("*.yaml")):
        text = file.read_text()
        ports = set(map(int, re.findall(r'(?:bind|listen): "[^"]*:(\d+)"', text) + re.findall(r'base_port: "?(\d+)', text)))
        if not ports:
            mistakes.append(f"{file.name}: no address found that it listens at")
        for port in sorted(port for port in ports if low <= port <= high):
            mistakes.append(f"{file.name}: port {port} is among those that 60-penstock.conf gives to connections ({low} to {high})")


for document in [TREE / "README.md", *(file for name in ("docs", "bench", "tests") for file in sorted((TREE / name).rglob("*.md")))]:
    check_links(TREE, document)
check_documents(pathlib.Path(sys.argv[1]))
check_units()
check_ports()
print("\n".join(mistakes))
sys.exit(len(mistakes) > 0)
