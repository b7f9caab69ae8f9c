"""How a JVM is started in the lab: one class path for all, small heaps, quick to start rather than quick to run."""
import hashlib
import subprocess

import settings

_OPENS = [
    "java.base/java.io", "java.base/java.util.zip", "java.base/java.nio", "java.base/java.lang", "java.base/sun.net",
    "java.base/jdk.internal.misc", "java.base/jdk.internal.platform", "java.management/sun.management",
    "jdk.management/com.sun.management.internal",
]  # fmt: skip

_LOG4J = """<Configuration status="WARN"><Appenders><Console name="out" target="SYSTEM_OUT">
<PatternLayout pattern="%d{ISO8601} %-5p [%t] %c{1} - %m%n%ex{short}"/></Console></Appenders>
<Loggers><Root level="info"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""


def command(main, *arguments, heap="128m", direct="64m", path=()):
    """The command line of a JVM; `path` goes in front of the Pulsar jars."""
    log4j = settings.RUN / "conf" / "log4j2.xml"
    log4j.parent.mkdir(parents=True, exist_ok=True)
    log4j.write_text(_LOG4J)
    return [
        "java", f"-Xms{heap}", f"-Xmx{heap}", f"-XX:MaxDirectMemorySize={direct}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        "-Xshare:auto", "-XX:+ExitOnOutOfMemoryError", *(f"--add-opens={name}=ALL-UNNAMED" for name in _OPENS),
        "-Dio.netty.tryReflectionSetAccessible=true", "-Dio.netty.allocator.maxOrder=10", "-Djute.maxbuffer=10485760",
        f"-Dlog4j2.configurationFile={log4j}", "-cp", ":".join([*map(str, path), f"{settings.JARS}/*"]), main, *map(str, arguments),
    ]  # fmt: skip


def compiled(jars, *sources):
    """The folder with the classes of these files, made anew when one of them changes."""
    made_of = hashlib.sha256(b"".join([str(jars).encode(), *(source.read_bytes() for source in sources)])).hexdigest()[:16]
    folder = settings.CACHE / "java-client" / made_of
    if not folder.with_suffix(".done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["javac", "-nowarn", "-proc:none", "-cp", f"{jars}/*", "-d", folder, *sources], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"javac: {done.stderr}")
        folder.with_suffix(".done").touch()
    return folder
