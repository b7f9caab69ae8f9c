# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages: what stands behind and around the contenders while a group of cells is measured."""

import contextlib

from . import BenchError, generator, say
from .contenders import REGISTRY, Setting
from .processes import Processes


class Stage:
    """Sinks of penstock-bench behind, contenders in front. A protocol's stage overrides behind(),
    and setting() where its contenders are told more."""

    def __init__(self, name, role="relay", sinks=("echo",), connections=600, workers=1,
                 alone=False):
        self.name = name
        self.role = role
        self.sinks = sinks
        self.connections = connections
        self.workers = workers
        self.alone = alone      # each contender runs in its turn only, and is fresh every time

    def lacks(self):
        """Why this stage cannot be set up here, or None."""
        for sink in self.sinks:
            why = generator.lacks("sink", sink)
            if why:
                return why
        return None

    def behind(self, processes, machine, names):
        """What the contenders talk to: it has `to`, {(contender, sink): address}, and check()."""
        return generator.Sinks(processes, machine, self.sinks, names)

    def setting(self, name, processes, machine, behind):
        return Setting(processes, machine, {sink: behind.to[name, sink] for sink in self.sinks},
                       self.role, self.connections, self.workers)

    @contextlib.contextmanager
    def open(self, machine, names, results):
        with Processes() as processes:
            behind = self.behind(processes, machine, names)
            yield Fleet(self, processes, machine, behind, names, results)


class Fleet:
    """The contenders of a stage that is open."""

    def __init__(self, stage, processes, machine, behind, names, results):
        self.stage = stage
        self.processes = processes
        self.machine = machine
        self.behind = behind
        self.results = results
        self.gone = {}          # name -> why it takes no more part
        self.running = {}
        if not stage.alone:
            for name in names:
                self.begin(name)

    def begin(self, name):
        contender = REGISTRY[name](
            name, self.stage.setting(name, self.processes, self.machine, self.behind))
        try:
            contender.start()
        except BenchError as error:
            contender.stop()
            self.bury(name, str(error))
            self.results.skip(name, self.stage.role, str(error))
            return None
        self.results.note(contender)
        self.running[name] = contender
        return contender

    def bury(self, name, why):
        self.running.pop(name, None)
        self.gone[name] = why
        say(f"{name} takes no more part in stage {self.stage.name}: {why}")

    @contextlib.contextmanager
    def turn(self, name):
        """The contender while it is measured; None when it is gone."""
        contender = self.running.get(name)
        if contender is None and name not in self.gone:
            contender = self.begin(name)
        yield contender
        if contender is None:
            return
        if not contender.is_alive():
            self.bury(name, contender.last_words())
        elif self.stage.alone:
            self.running.pop(name).stop()
