"""A Kerberos realm of the lab (MIT's KDC): its database and keytabs in a folder, its KDC on the gate address, where both sides reach it.

    realm = Realm(folder, {"alice": "secret"}, ["kafka/gw.test"]); realm.start(); realm.conf -> krb5.conf; realm.keytab("alice"); realm.stop()
"""
import os
import shutil
import subprocess

import settings
import web
from processes import Process

NAME, PORT = "PENSTOCK.TEST", 8888
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local")


def missing():
    """Programs that are not here; Debian keeps them where only root looks."""
    return [program for program in PROGRAMS if not _path(program)]


def _path(program):
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Realm:
    def __init__(self, folder, users, services):
        self.folder, self.conf = folder, folder / "krb5.conf"
        self._kdc = Process("kafka-kdc")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        where = f"{settings.GATE_ADDRESS}:{PORT}"
        self.conf.write_text(
            f"[libdefaults]\n default_realm = {NAME}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n"
            f" dns_canonicalize_hostname = false\n udp_preference_limit = 1\n[realms]\n {NAME} = {{\n  kdc = {where}\n }}\n"
            f"[domain_realm]\n .test = {NAME}\n"
        )
        (folder / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = {where}\n kdc_tcp_listen = {where}\n[realms]\n {NAME} = {{\n  database_name = {folder}/principal\n"
            f"  key_stash_file = {folder}/stash\n  acl_file = {folder}/acl\n }}\n"
        )
        self._run("kdb5_util", "create", "-r", NAME, "-s", "-P", "penstock")
        for user, secret in users.items():
            self._run("kadmin.local", "-r", NAME, "-q", f"addprinc -pw {secret} {user}")
        for service in services:
            self._run("kadmin.local", "-r", NAME, "-q", f"addprinc -randkey {service}")
        for principal in (*users, *services):
            self._run("kadmin.local", "-r", NAME, "-q", f"ktadd -norandkey -k {self.keytab(principal)} {principal}")

    def _environment(self):
        return {**os.environ, "KRB5_CONFIG": str(self.conf), "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf")}

    def _run(self, program, *arguments):
        subprocess.run([_path(program), *arguments], check=True, capture_output=True, env=self._environment())

    def keytab(self, principal):
        return self.folder / f"{principal.replace('/', '-')}.keytab"

    def start(self):
        self._kdc.start([_path("krb5kdc"), "-n", "-r", NAME, "-P", self.folder / "pid"], env=self._environment())
        self._kdc.wait_ready(10, lambda: web.reachable(settings.GATE_ADDRESS, PORT))

    def stop(self):
        self._kdc.stop()
