#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""churn.py - many ports that come and go, by several clients of the control socket

    churn.py SOCKET GATEWAY PREFIX SPACES PORTS VERB

Port p7 is vx7 in the namespace PREFIX3, of 4 SPACES. The verbs:

    add      adds them
    remove   removes them by CLIENTS clients, while another one asks for the status. Prints what a removal took, and
             what the status usually took, both in us
    leave    the same, but does not wait for the answers
    again    ROUNDS times: one client removes p0 while another adds it. It must be there then, or let itself be added
"""
import json
import socket
import sys
import threading
import time

CLIENTS, ROUNDS = 16, 40
path, gateway, prefix = sys.argv[1:4]
spaces, ports = map(int, sys.argv[4:6])


class Client:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile()

    def ask(self, method, **params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")

    def answer(self):
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            raise SystemExit(f"churn.py: {answer['error']['message']}")
        return answer["result"]

    def call(self, method, **params):
        self.ask(method, **params)
        return self.answer()

    def ask_add(self, number):
        self.ask("port.add", name=f"p{number}", gateway=gateway, netns=f"{prefix}{number % spaces}", ifname=f"vx{number}")


def add():
    client = Client()
    for number in range(ports):
        client.ask_add(number)
        client.answer()


def in_parallel(run):
    threads = [threading.Thread(target=run, args=(Client(), first)) for first in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def usual(took):
    """Half of the time was spent in those that took as long, or longer: a crowd of quick ones does not hide them."""
    took.sort()
    behind = 0
    for one in took:
        behind += one
        if behind * 2 >= sum(took):
            return one


def remove():
    def run(client, first):
        for number in range(first, ports, CLIENTS):
            client.call("port.remove", name=f"p{number}")

    def look():
        client = Client()
        while not over:
            begin = time.monotonic()
            client.call("status.get")
            took.append(time.monotonic() - begin)

    over, took = [], []
    looking = threading.Thread(target=look)
    looking.start()
    begin = time.monotonic()
    in_parallel(run)
    each = (time.monotonic() - begin) / ports
    over.append(True)
    looking.join()
    print(round(each * 1e6), round(usual(took) * 1e6))


def leave():
    def run(client, first):
        for number in range(first, ports, CLIENTS):
            client.ask("port.remove", name=f"p{number}")

    in_parallel(run)


def again():
    removes, adds = Client(), Client()
    adds.ask_add(0)
    adds.answer()
    for _ in range(ROUNDS):
        removes.ask("port.remove", name="p0")
        adds.ask_add(0)
        removes.answer()
        adds.answer()
        adds.ask_add(0)
        adds.answer()


{"add": add, "remove": remove, "leave": leave, "again": again}[sys.argv[6]]()
