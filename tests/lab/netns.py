"""Two network namespaces joined by one virtual cable, and nothing else: no default route leads out of either.

Clients live on the client side; penstock, ZooKeeper and the brokers on the broker side. Brokers listen on loopback addresses of the
broker side, so a client that learns one and tries it meets its own loopback, where trap.py counts it.

A test of two clusters adds a third namespace with create_far(): one cable to the broker side, one to the clients.
"""
import contextlib
import ctypes
import os
import pathlib
import socket
import subprocess

import settings

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000

HOSTS = f"127.0.0.1 localhost {socket.gethostname()}\n"  # a JVM wants to know its own name


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def exists(name):
    return pathlib.Path(f"/run/netns/{name}").exists()


def create():
    """Both namespaces, the cable, the loopbacks, and the resolver files of the broker side. Does nothing when they are there."""
    if not settings.NETNS:
        return
    if os.geteuid() != 0:
        raise SystemExit("lab: network namespaces need root; please run as root (there is no other way to hide the brokers)")
    inner, outer = settings.BROKER_SIDE, settings.CLIENT_SIDE
    if exists(inner) and exists(outer):
        return
    destroy()
    try:
        for name in (inner, outer):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", "gate0", "netns", inner, "type", "veth", "peer", "name", "client0", "netns", outer)
        for name, device, address in ((inner, "gate0", settings.GATE_ADDRESS), (outer, "client0", settings.CLIENT_ADDRESS)):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", inner, "addr", "add", f"{settings.OPEN_ADDRESS}/24", "dev", "gate0")
    except subprocess.CalledProcessError as error:
        destroy()
        raise SystemExit(f"lab: cannot make network namespaces: {error.stderr.strip()}") from None
    _resolver_files(inner, f"nameserver {settings.DNS_ADDRESS}\noptions timeout:1 attempts:1\n", HOSTS)
    client_names()


def client_names(table=()):
    """The names that programs know which are run on the client side with exec_in(): name -> address. Nobody else answers them there."""
    names = "".join(f"{address} {name}\n" for name, address in dict(table).items())
    _resolver_files(settings.CLIENT_SIDE, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", HOSTS + names)


def create_far():
    """The far side, for a second cluster: nothing leads there but a cable from the broker side and one from the clients'."""
    far = settings.FAR_SIDE
    if exists(far):
        return
    _ip("netns", "add", far)
    _ip("-n", far, "link", "set", "lo", "up")
    ends = (
        (settings.BROKER_SIDE, "far0", settings.HOME_TO_FAR_ADDRESS, "home0", settings.FAR_FROM_HOME_ADDRESS),
        (settings.CLIENT_SIDE, "far1", settings.CLIENT_TO_FAR_ADDRESS, "client1", settings.FAR_GATE_ADDRESS),
    )
    for other, device, address, far_device, far_address in ends:
        _ip("link", "add", far_device, "netns", far, "type", "veth", "peer", "name", device, "netns", other)
        for name, its_device, its_address in ((other, device, address), (far, far_device, far_address)):
            _ip("-n", name, "addr", "add", f"{its_address}/24", "dev", its_device)
            _ip("-n", name, "link", "set", its_device, "up")
    names = "".join(f"{settings.FAR.brokers[number]} {name}\n" for number, name in settings.FAR.names.items())
    _resolver_files(far, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", HOSTS + names)


def _resolver_files(name, resolv, hosts):
    etc = pathlib.Path(f"/etc/netns/{name}")  # `ip netns exec` lays these over /etc
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "resolv.conf").write_text(resolv)
    (etc / "hosts").write_text(hosts)


@contextlib.contextmanager
def client_hosts(names):
    """What programs find that exec_in starts on the clients' side: these names with their addresses, and no other."""
    _resolver_files(settings.CLIENT_SIDE, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", HOSTS + "".join(f"{a} {n}\n" for n, a in names.items()))
    try:
        yield
    finally:
        _forget_resolver_files(settings.CLIENT_SIDE)


def destroy():
    if not settings.NETNS:
        return
    for name in (settings.FAR_SIDE, settings.BROKER_SIDE, settings.CLIENT_SIDE):
        _destroy(name)


def destroy_far():
    _destroy(settings.FAR_SIDE)


def _destroy(name):
    if exists(name):
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    _forget_resolver_files(name)


def _forget_resolver_files(name):
    etc = pathlib.Path(f"/etc/netns/{name}")
    for file in ("resolv.conf", "hosts"):
        (etc / file).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        etc.rmdir()


def enter(name):
    """Moves the calling thread (and threads it starts from now on) to a namespace for good."""
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if _libc.setns(fd, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")
    finally:
        os.close(fd)


@contextlib.contextmanager
def inside(name):
    """The calling thread is in a namespace for the length of a `with`. A socket stays where it was made."""
    if not settings.NETNS:
        yield
        return
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(name)
        yield
    finally:
        if _libc.setns(back, _CLONE_NEWNET) != 0:
            os._exit(70)  # a thread in the wrong network must not go on
        os.close(back)


def broker_side():
    return inside(settings.BROKER_SIDE)


def client_side():
    return inside(settings.CLIENT_SIDE)


def exec_in(name, argv):
    """The command line that becomes argv inside a namespace. `ip` execs, so its pid is the program's."""
    return [*(["ip", "netns", "exec", name] if settings.NETNS else []), *map(str, argv)]
