#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""agent.py - what podswitch-cni asks, answered as podswitch-agent would, without a cluster

    agent.py SOCKET PODSWITCHCTL GATEWAY

A pod's name says what becomes of it: none-* has no gateway, stuck-* never gets it, refused-* may not have it; every
other one gets a port of GATEWAY, after it was told once to wait. Prints what it is asked, a method and a pod a line.
"""
import json
import os
import socket
import subprocess
import sys
import threading

path, ctl, gateway = sys.argv[1:4]
lock = threading.Lock()
asked = {}
addresses = {}


def port(params):
    ifname = "" if params["ifname"] == "vx0" else "." + params["ifname"]
    return f"{params['namespace']}.{params['pod']}@{params['container_id'][:12]}{ifname}"


def run(*words):
    return subprocess.run([ctl, "-j", *words], capture_output=True, text=True)


def find(name):
    return next((p for p in json.loads(run("port", "list").stdout) if p["name"] == name), None)


def add(params):
    name, pod = port(params), params["pod"]
    if pod.startswith("none-"):
        return {"state": "none"}
    if pod.startswith("stuck-"):
        return {"state": "pending", "reason": "media/vpn gives no address"}
    if pod.startswith("refused-"):
        raise PermissionError("media/vpn is not for this namespace")
    with lock:
        asked[name] = asked.get(name, 0) + 1
        address = addresses.setdefault(name, f"172.16.0.{20 + len(addresses)}/24")
    if asked[name] == 1:
        return {"state": "pending", "reason": "not yet"}
    done = run("port", "add", name, "--gateway", gateway, "--netns", params["netns"], "--ifname", params["ifname"],
               "--address", address)
    if done.returncode:
        raise OSError(done.stderr.strip())
    there = find(name)
    return {"state": "ready", "name": name, "gateway": "media/vpn", "ifname": params["ifname"], "mac": there["mac"],
            "mtu": there["mtu"], "addresses": there["addresses"], "router": "172.16.0.1"}


def answer(method, params):
    if method == "attachment.add":
        return add(params)
    if method == "attachment.remove":
        run("port", "remove", port(params))
        return {}
    if method == "attachment.check":
        return {"state": "ready"} if find(port(params)) else {"state": "missing", "reason": "no such port"}
    if method == "agent.status":
        return {"synced": True, "switch": run("status").returncode == 0}
    raise NotImplementedError(method)


def serve(client):
    with client, client.makefile("rw") as stream:
        for line in stream:
            request = json.loads(line)
            print(request["method"], request["params"].get("pod", ""), flush=True)
            reply = {"jsonrpc": "2.0", "id": request["id"]}
            try:
                reply["result"] = answer(request["method"], request["params"])
            except PermissionError as error:
                reply["error"] = {"code": -32020, "message": str(error)}
            except (OSError, NotImplementedError) as error:
                reply["error"] = {"code": -32603, "message": str(error)}
            stream.write(json.dumps(reply) + "\n")
            stream.flush()


if os.path.exists(path):
    os.unlink(path)
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
    listener.listen(128)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
