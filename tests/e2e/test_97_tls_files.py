"""Files of TLS that are renewed in place come into force by themselves (certificates.refresh), in penstock.yaml as in proxy.conf.
(no cluster needed)"""
import shutil
import ssl
import subprocess
import time

import pytest
import settings
import tls
import wire
from fakes import echo, plain_echo
from processes import wait_until
from test_91_tls import ending, secure, speaking, tls_broker
from wire import dial


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("ca"))


def text_of(peer):
    return ssl.DER_cert_to_PEM_cert(peer.sock.getpeercert(binary_form=True)).split()


def shown(gate, authority):
    peer = secure(gate, authority.trusting())
    text = text_of(peer)
    peer.close()
    return text


def pairs(authority):
    return authority.issue("gw.example.com", prefix="old-"), authority.issue("gw.example.com", prefix="new-")


class Secret:
    """A folder as Kubernetes fills it: files are links through one link to a folder, which is swapped."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0
        self.pair = folder / "tls.crt", folder / "tls.key"
        for file in self.pair:
            file.symlink_to(f"..data/{file.name}")

    def put(self, source):
        self.count += 1
        real = self.folder / f"..{self.count}"
        real.mkdir()
        for file, from_ in zip(self.pair, source):
            shutil.copy(from_, real / file.name)
        (self.folder / "..tmp").symlink_to(real.name)
        (self.folder / "..tmp").rename(self.folder / "..data")


def test_a_secret_of_kubernetes(penstock, fake, authority, tmp_path):
    """Open connections go on with what they began with; the configuration stays the one in force, and a reload may follow."""
    old, new = pairs(authority)
    secret = Secret(tmp_path)
    secret.put(old)
    gate = penstock.forward(fake(plain_echo), listener=ending(secret.pair), certificates={"refresh": "1s"})
    held = secure(gate, authority.trusting())
    for source in (new, old, new):
        secret.put(source)
        wait_until("the other certificate", 5, lambda source=source: shown(gate, authority) == source[0].read_text().split())
    wait_until("what the log says of it", 5, lambda: gate.log().count("tls_refreshed") >= 3)
    gate.reload()
    wait_until("the reload", 5, lambda: "reloaded" in gate.log())
    assert shown(gate, authority) == new[0].read_text().split()
    secret.put(old)
    wait_until("the other certificate", 5, lambda: shown(gate, authority) == old[0].read_text().split())
    assert text_of(held) == old[0].read_text().split()
    held.send(b"still here")
    assert held.read_exactly(10) == b"still here"
    held.close()


def test_off(penstock, fake, authority, tmp_path):
    old, new = pairs(authority)
    secret = Secret(tmp_path)
    secret.put(old)
    gate = penstock.forward(fake(plain_echo), listener=ending(secret.pair), certificates={"refresh": "off"})
    secret.put(new)
    time.sleep(2.5)
    assert shown(gate, authority) == old[0].read_text().split()
    gate.reload()
    wait_until("the other certificate", 5, lambda: shown(gate, authority) == new[0].read_text().split())


def test_whom_brokers_are_judged_by(penstock, fake, authority, tmp_path):
    """The file with authorities is looked at too."""
    stranger = tls.Authority(tmp_path)
    broker, side = tls_broker(fake, stranger)
    trust = tmp_path / "trust.pem"
    trust.write_bytes(authority.file.read_bytes())
    gate = penstock.fixed(broker, cluster=speaking(authority, ca_file=str(trust)), certificates={"refresh": "1s"})

    def is_good():
        peer = dial(settings.GATE_ADDRESS, gate.port)
        peer.send(wire.connect(target=broker.where))
        target = broker.next()
        try:
            side.wrap(target).expect(wire.CONNECT)
            return True
        except (ssl.SSLError, OSError, wire.Closed):
            return False
        finally:
            peer.close()
            target.close()

    assert not is_good()
    trust.write_bytes(stranger.file.read_bytes())
    wait_until("the broker to be believed", 5, is_good)


def test_a_file_that_goes_away(penstock, fake, authority, tmp_path):
    """What is in force stays; said once, not every second."""
    old, _ = pairs(authority)
    secret = Secret(tmp_path)
    secret.put(old)
    gate = penstock.forward(fake(echo), listener=ending(secret.pair), certificates={"refresh": "1s"})
    secret.pair[1].rename(tmp_path / "elsewhere")
    wait_until("the complaint", 5, lambda: "tls_refresh_failed" in gate.log())
    time.sleep(2.5)
    assert gate.log().count("tls_refresh_failed") == 1 and "tls.key: No such file" in gate.log()
    assert shown(gate, authority) == old[0].read_text().split()
    (tmp_path / "elsewhere").rename(secret.pair[1])
    time.sleep(1.5)
    assert shown(gate, authority) == old[0].read_text().split()


def test_a_key_everybody_may_read(penstock, fake, authority, tmp_path):
    """It is refused, by `check`, by a start, and by a refresh, which goes on with the one before."""
    old, new = pairs(authority)
    pair = tmp_path / "gw.pem", tmp_path / "gw.key"

    def put(source):
        for file, from_ in zip(pair, source):
            shutil.copy(from_, file)

    def check():
        done = subprocess.run([settings.PENSTOCK, "check", "-c", gate.config_file], capture_output=True, text=True, timeout=10, check=False)
        return done.returncode, done.stderr

    put(old)
    gate = penstock.forward(fake(echo), listener=ending(pair), certificates={"refresh": "1s"})
    assert check()[0] == 0
    pair[1].chmod(0o644)  # before its bytes change: a look between would find nothing wrong
    for file, from_ in zip(pair, new):
        shutil.copyfile(from_, file)
    wait_until("the complaint", 5, lambda: f"{pair[1]}: everybody may read this key: chmod 640" in gate.log())
    assert shown(gate, authority) == old[0].read_text().split()
    status, text = check()
    assert status == 78 and "everybody may read this key" in text
    second = penstock.new().start(gate.config_file.read_text(), ready=False)
    assert second.process.wait(10) == 78
    pair[1].chmod(0o440)
    wait_until("the new one", 5, lambda: shown(gate, authority) == new[0].read_text().split())


NAMES = {"1.2": "ECDHE-ECDSA-CHACHA20-POLY1305", "1.3": "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.mark.parametrize("version", NAMES)
def test_ciphers(penstock, fake, authority, version):
    """The suites named are the ones spoken, and a version without one is not."""
    certificate = authority.issue("gw.example.com")
    gate = penstock.forward(fake(plain_echo), listener=ending(certificate, ciphers=[NAMES[version]]))
    peer = secure(gate, authority.trusting())
    assert peer.sock.cipher()[:2] == (NAMES[version], f"TLSv{version}")
    peer.send(b"hello")
    assert peer.read_exactly(5) == b"hello"
    peer.close()
