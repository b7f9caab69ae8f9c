"""A name server for the broker side: answers A questions from a dict, everything else with "no such name", at once.

    names = NameServer(); names.table["zk.lab"] = "127.77.0.2"; ... names.asked -> ["zk.lab", ...]
"""
import socket
import struct
import threading
import time

import netns
import settings


class NameServer:
    def __init__(self):
        self.table = {}  # name -> address, or a list of addresses
        self.asked = []
        self.seconds = 0  # it takes to answer
        with netns.broker_side():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((settings.DNS_ADDRESS, 53))
        self._thread = threading.Thread(target=self._run, name="nameserver", daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            question, client = self._socket.recvfrom(2048)
            if question == b"stop":
                return
            answer = self._answer(question)
            time.sleep(self.seconds)
            if answer:
                self._socket.sendto(answer, client)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode("latin-1"))
            at += 1 + question[at]
        name, end = ".".join(labels).lower(), at + 5
        (kind,) = struct.unpack(">H", question[at + 1 : at + 3])
        self.asked.append(name)
        found = self.table.get(name)
        addresses = [found] if isinstance(found, str) else found or []
        records = addresses if kind == 1 else []
        code = 0 if found else 3
        head = question[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(a) for a in records)
        return head + question[12:end] + body

    def close(self):
        with netns.broker_side(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"stop", (settings.DNS_ADDRESS, 53))
        self._thread.join()
        self._socket.close()
