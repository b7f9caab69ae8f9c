"""Pulsar's official Java client as a co-process (coprocess.py) on the clients' side: one JVM for the whole suite.

    java.run("transactions", url=..., topics=[...])  ->  dict, or AssertionError with the exception of the client
"""
import pathlib

import java
import settings
from coprocess import CoProcess

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = [HERE / "java/LabClient.java", HERE / "java/LabCases.java"]


class JavaClient(CoProcess):
    def __init__(self, side=None):
        """With a side: with the names of that side (netns.client_hosts), which a JVM reads once."""
        super().__init__("java-client")
        self.side = side

    def command(self):
        return java.command("LabClient", heap="512m", direct="512m", path=[java.compiled(settings.JARS, *SOURCES)])
