# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Pulsar and the Kafka cells have in common: a broker instead of sinks, and warming up."""

import contextlib
import dataclasses
import weakref
from dataclasses import dataclass

from .cell_kinds import LoadCell, Turn
from .stages import Stage

WARM_UP_SECONDS = 2     # of everybody: topics are made, the broker's code is loaded and compiled
BROKER = "broker"       # the name of the sink

_warm = weakref.WeakKeyDictionary()     # contender -> names of the cells it has been in


class Behind:
    """One broker for every contender."""

    def __init__(self, broker, names):
        self.broker = broker
        self.to = dict.fromkeys(((name, BROKER) for name in names), broker.broker)
        self.check = broker.check


class BrokerStage(Stage):
    """A stage whose contenders share a real broker; a subclass says which."""

    def __init__(self, name, **more):
        super().__init__(name, sinks=(BROKER,), **more)

    def broker(self, processes, machine):
        raise NotImplementedError

    def behind(self, processes, machine, names):
        return Behind(self.broker(processes, machine), names)

    @contextlib.contextmanager
    def open(self, machine, names, results):
        with super().open(machine, names, results) as fleet:
            try:
                yield fleet
            finally:
                fleet.behind.broker.stop()


@dataclass(frozen=True)
class ProtocolCell(LoadCell):
    sink: str = BROKER
    stayers: tuple = ()         # relays that change no addresses: the clients are told to stay
    publishes: bool = False     # past the proxy, what the clients then consume
    least_seconds: float = 0.0
    warm_up: tuple = ()         # options that hold then instead

    def measure(self, contender, turn):
        """A contender's first run of a cell is not counted: it warms up itself and the broker."""
        if self.name not in _warm.setdefault(contender, set()):
            _warm[contender].add(self.name)
            turn_cold = Turn(getattr(contender, "warm_up_seconds", WARM_UP_SECONDS), None)
            if self.run(contender, turn_cold, self.warm_up).get("failed"):
                # A broker may refuse a topic that it has just made.
                self.run(contender, turn_cold, self.warm_up)
        return self.run(contender, Turn(max(turn.seconds, self.least_seconds), turn.hgrm))

    def run(self, contender, turn, more=()):
        if contender.name in self.stayers:
            more = (*more, "--stay")
        if self.publishes:
            more = (*more, "--publish-to", contender.to[self.sink])
        told = dataclasses.replace(self, options=(*self.options, *more))
        return super(ProtocolCell, told).measure(contender, turn)
