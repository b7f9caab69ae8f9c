#!/usr/bin/env python3
"""Reads every PromQL expression of a dashboard and of alert rules, and complains of what no penstock answers to.

usage: monitoring.py FILE.json FILE.yml      (of the tree; docs/METRICS.md is read beside them)

A metric must exist; what rate() and increase() are given must be a counter; a label must be one of the metric's; a value, where the
metric has a closed set of them, must be in it. Alert rules are read line by line, so they keep to one form: one key per line.
"""
import json
import pathlib
import re
import sys

METRICS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "METRICS.md"
TARGET_LABELS = {"job", "instance"}  # Prometheus adds these
WORDS = set("by without on ignoring group_left group_right and or unless bool offset".split())
COUNTED = {"rate", "irate", "increase"}
STATES = {"connected", "connecting", "expired", "none"}  # of penstock_zookeeper_state, whose row says so
TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<number>\d+(?:\.\d+)?(?:[a-z]+)?)|(?P<variable>\$\w+)'
    r"|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){}\[\],=<>:])|(?P<blank>\s+)|(?P<other>.)"
)
mistakes = []


class Metric:
    def __init__(self, kind, labels):
        self.kind = kind
        self.values = {}  # label -> the values it takes, or None: any
        for part in filter(None, re.split(r"[;,]\s*", labels)):
            label, sign, value = part.partition("=")
            self.values.setdefault(label, set() if sign else None)
            if sign:
                self.values[label].add(value.strip('"'))


def metrics():
    """Every series /metrics has, by its name: a histogram is three."""
    text = METRICS.read_text()
    found = {}
    for name, kind, labels in re.findall(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| ([^|]*?) ?\|", text, re.M):
        if kind == "histogram":
            found[name + "_sum"] = found[name + "_count"] = Metric("counter", labels)
            found[name + "_bucket"] = Metric("counter", f"{labels}, le" if labels else "le")
        else:
            found[name] = Metric(kind, labels)
    found["penstock_disconnects_total"].values["reason"] = set(re.findall(r"^\| `([a-z0-9_]+)` \| `.` \|", text, re.M))
    found["penstock_zookeeper_state"].values["state"] = STATES
    found["up"] = Metric("gauge", "")
    return found


METRIC = metrics()


class Expression:
    """One expression of PromQL, read once from left to right."""

    def __init__(self, where, text):
        self.where, self.text = where, text
        self.tokens = [(m.lastgroup, m.group()) for m in TOKEN.finditer(text) if m.lastgroup != "blank"]
        self.used = []
        self.calls = []  # the functions whose parentheses are open
        self.grouped = []

    def say(self, what):
        mistakes.append(f"{self.where}: {what}\n    {self.text}")

    def sign(self, at, sign):
        return at < len(self.tokens) and self.tokens[at] == ("sign", sign)

    def read(self):
        at, pending = 0, None
        while at < len(self.tokens):
            kind, word = self.tokens[at]
            if kind == "other":
                self.say(f"{word} is no PromQL")
            elif kind == "name" and word in WORDS:
                at = self.labels_in_parentheses(at + 1) if self.sign(at + 1, "(") and word not in ("and", "or", "unless") else at
            elif kind == "name" and (self.sign(at + 1, "(") or self.next_is_grouping(at)):
                pending = word
            elif kind == "name":
                at = self.metric(at)
            elif word == "(":
                self.calls.append(pending)
                pending = None
            elif word == ")" and not self.calls:
                self.say("a ) too many")
            elif word == ")":
                self.calls.pop()
            at += 1
        if self.calls:
            self.say("a ) is missing")
        known = TARGET_LABELS.union(*(METRIC[name].values for name in self.used))
        for label in self.grouped:
            if label not in known:
                self.say(f"no metric here has the label {label}")
        return known

    def next_is_grouping(self, at):  # sum by (listener) (...)
        return self.tokens[at + 1 : at + 2] in ([("name", "by")], [("name", "without")])

    def labels_in_parentheses(self, at):
        at += 1
        while at < len(self.tokens) and not self.sign(at, ")"):
            if self.tokens[at][0] == "name":
                self.grouped.append(self.tokens[at][1])
            at += 1
        return at

    def metric(self, at):
        name = self.tokens[at][1]
        if name not in METRIC:
            self.say(f"there is no metric {name}")
            return self.skip_selector(at)
        self.used.append(name)
        if self.calls and self.calls[-1] in COUNTED and METRIC[name].kind != "counter":
            self.say(f"{self.calls[-1]}() of {name}, which is a {METRIC[name].kind}")
        return self.selector(at + 1, name) if self.sign(at + 1, "{") else at

    def skip_selector(self, at):
        if self.sign(at + 1, "{"):
            while at < len(self.tokens) and not self.sign(at, "}"):
                at += 1
        return at

    def selector(self, at, name):
        at += 1
        while at < len(self.tokens) and not self.sign(at, "}"):
            if self.sign(at, ","):
                at += 1
                continue
            (_, label), (_, how), (kind, value) = (self.tokens + [("", "")] * 3)[at : at + 3]
            if how not in ("=", "!=", "=~", "!~") or kind != "text":
                self.say(f"{name}{{...}} cannot be read at {label}")
                return len(self.tokens)
            self.matcher(name, label, how, value[1:-1])
            at += 3
        return at

    def matcher(self, name, label, how, value):
        values = METRIC[name].values
        if label not in values and label not in TARGET_LABELS:
            self.say(f"{name} has no label {label}")
        closed = values.get(label)
        for wanted in value.split("|") if "~" in how else [value]:
            if closed is None or wanted.startswith("$"):
                continue
            if not any(re.fullmatch(wanted, one) if "~" in how else wanted == one for one in closed):
                self.say(f"{label} of {name} is never {wanted}")


def check(where, text, legends=()):
    known = Expression(where, text).read()
    for legend in legends:
        for label in re.findall(r"{{\s*(?:\$labels\.)?(\w+)\s*}}", legend):
            if label not in known:
                mistakes.append(f"{where}: no metric here has the label {label}\n    {legend}")


def read_dashboard(path):
    dashboard = json.loads(path.read_text())
    count = 0
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            check(f"{path}: {panel['title']}", target["expr"], [target.get("legendFormat", "")])
            count += 1
    for annotation in dashboard["annotations"]["list"]:
        check(f"{path}: {annotation['name']}", annotation["expr"], [annotation["titleFormat"]])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            check(f"{path}: {variable['name']}", re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]).group(1))
    numbers = [panel["id"] for panel in dashboard["panels"]]
    if len(numbers) != len(set(numbers)):
        mistakes.append(f"{path}: two panels have one id")
    return count


def read_alerts(path):
    rules = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.fullmatch(r"\s*(- )?(\w+): ?(.*)", line)
        if line.lstrip().startswith("#") or not found:
            continue
        begins, key, value = found.groups()
        if begins and key == "alert":
            rules.append({"line": number})
        if rules:
            if key in rules[-1]:
                mistakes.append(f"{path}:{number}: {key} a second time")
            rules[-1][key] = value
    for rule in rules:
        where = f"{path}:{rule['line']}: {rule['alert']}"
        missing = {"expr", "labels", "summary", "description"} - rule.keys()
        if missing or "severity" not in rule.get("labels", ""):
            mistakes.append(f"{where}: without {', '.join(sorted(missing) or ['severity'])}")
        else:
            check(where, rule["expr"], re.findall(r"{{ \$labels\.\w+ }}", rule["summary"] + rule["description"]))
    names = [rule["alert"] for rule in rules]
    for name in {name for name in names if names.count(name) > 1}:
        mistakes.append(f"{path}: two alerts are called {name}")
    return len(rules)


def main():
    dashboard, alerts = map(pathlib.Path, sys.argv[1:])
    if len(METRIC) < 50 or read_dashboard(dashboard) == 0 or read_alerts(alerts) == 0:
        mistakes.append(f"nothing was found to check in {METRICS}, {dashboard} or {alerts}")
    print("\n".join(mistakes))
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
