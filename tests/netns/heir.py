#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""heir.py SOCKET CASE - asks podswitchd to hand over as a new one does, and then fails in the way that CASE says

hang-up       says nothing more               garbage     says what is no JSON
silent        keeps the connection, says nothing until podswitchd has closed it
early, late   all was received, then the connection ends; late: podswitchd has been told to stop reading, and did
frozen        the same, but the connection stays until podswitchd has closed it
failed        says why it cannot              flood       sends descriptors that nobody asked for
Prints how many lines and descriptors were handed over.
"""
import array
import json
import os
import socket
import sys


class Heir:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(path)
        self.buffer = b""
        self.lines = self.fds = 0

    def say(self, text, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([text.encode() + b"\n"], rights)

    def hear(self, word=None):
        """The lines up to the one that has `word`, or until podswitchd closes the connection."""
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                self.lines += 1
                if word and word in json.loads(line):
                    return True
            data, rights, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(253 * 4))
            for _, _, blob in rights:
                for fd in array.array("i", blob[:len(blob) - len(blob) % 4]):
                    os.close(fd)
                    self.fds += 1
            if not data:
                return False
            self.buffer += data


def main():
    heir, case = Heir(sys.argv[1]), sys.argv[2]
    heir.say('{"jsonrpc": "2.0", "id": 1, "method": "takeover.begin"}')
    heir.hear("result")
    heir.lines = 0
    if case == "garbage":
        heir.say("\0\xff{[")
    elif case == "flood":
        heir.say('{"go": true}', [0] * 200)
    elif case == "silent":
        heir.hear()
    elif case != "hang-up":
        heir.say('{"go": true}')
        heir.hear("whole")
    if case == "failed":
        heir.say('{"failed": "no room for %s"}' % ("x" * 1000))
    if case in ("late", "frozen"):
        heir.say('{"commit": true}')
        heir.hear("yours")
    if case == "frozen":
        heir.hear()
    print(heir.lines, heir.fds)


main()
