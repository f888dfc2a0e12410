#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 46-inbound.sh - who connects from outside is answered as the question came, where "inbound" is on; pods cannot use that
#
#   THERE ---- node ---- eth0  "web", on the gateway's node "home": :8080 and :8081, hostPorts 18080 and 18081 (portmap,
#     :                  vx0                                        which leaves the client's address as it is)
#     '~~~ t-one ~~~~~~~~'
#
# THERE is outside of all kept networks, and another of that address is behind the gateway. Port 8081 is asked while
# nobody may be answered, and 8080 otherwise: so the captures tell whether an answer was meant to leave.
# shellcheck source=lib.sh

[ -n "$BED" ] || { note "left out: there is no client outside of the cluster" && exit 0; }
node_address() { K get node "$1" -o jsonpath='{.status.addresses[0].address}'; }
declare -A HOST=([web]=$(node_address "$N1") [home]=$(node_address "$N2"))

server() { # server NAME NODE
	render client NAMESPACE=t-web "NAME=$1" "NODE=$2" "ANNOTATIONS=$(annotations gateway=vpn.t-one)" PAUSE=0.3 |
		K create --dry-run=client -o json -f - | jq '.spec.containers[0].ports = [{containerPort: 8080, hostPort: 18080},
			{containerPort: 8081, hostPort: 18081}]' | K apply -f - >/dev/null
}
serve() { # serve NAME: at both ports
	in_pod t-web "$1" sh -c "mkdir -p /log/www/cgi-bin && ln -sf /usr/bin/who-is-it /log/www/cgi-bin/who &&
		for port in 8080 8081; do GATEWAY=$1 httpd -p \$port -h /log/www; done"
}
let_ask() { # let_ask NAME: what the captures may see
	asked "$(address t-web "$1")" 8080 answers
	asked "$(address t-web "$1")" 8081
	asked "${HOST[$1]}" 18080 answers
	asked "${HOST[$1]}" 18081
}
ask() { # ask ADDRESS PORT [FROM-PORT]: the page, for a client outside
	printf 'GET /cgi-bin/who HTTP/1.0\r\n\r\n' | bed nsh cp timeout 4 socat -T 2 - \
		"TCP:$1:$2,bind=$THERE:${3:-0},reuseaddr,connect-timeout=2" 2>/dev/null | tail -n 1
}
answers() { # answers DIGIT NAME...: who answers a client outside, at port 808DIGIT of each and at its hostPort
	local name
	rm -f "$TMP"/answer.*
	for name in "${@:2}"; do # at once, as for each that is not answered there is a wait
		ask "$(address t-web "$name")" "808$1" >"$TMP/answer.$name.pod" &
		ask "${HOST[$name]}" "1808$1" >"$TMP/answer.$name.host" &
	done
	wait
	cat "$TMP"/answer.* | xargs
}
foreign() { # frames that podswitchd has not let to gateways, as their addresses are not those of the pods there
	local node
	for node in "$N1" "$N2"; do ctl "$node" -j stats; done | jq -s 'map(.drops.foreign_address) | add'
}
from_port() { # from_port PORT: web asks that port of THERE, from its own 8080
	in_pod t-web web sh -c "printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' |
		timeout 8 socat -T 3 - TCP4:$THERE:$1,bind=:8080,reuseaddr,connect-timeout=3" 2>&1
}

space t-one
space t-web
gateway t-one "$N2"
poll 60 gateway_up t-one || die "no gateway in t-one"
server web "$N1"
server home "$N2"
ready t-web web home || die "a server does not start"
for pod in web home; do serve $pod && let_ask $pod; done

before=$(foreign)
same "without it, nobody is answered: neither at the pod's address nor at a hostPort" "" "$(answers 1 web home)"
stopped=$(($(foreign) - before))
check "the answers, from the first interface's address, were stopped on the way to the gateway ($stopped packets)" \
	[ $stopped -ge 4 ]

K -n t-web annotate pod web podswitch.io/inbound=on >/dev/null
eventually 20 "on, on the pod: it is answered, and sees the client's own address" "web $THERE web $THERE" answers 0 web
same "a pod beside it is not" "" "$(answers 1 home)"
like "what the pod begins goes by the gateway" '^t-one ' "$(fetch t-web web)"
poll 10 prints "web $THERE" ask "$(address t-web web)" 8080 40001 || die "not answered at port 40001"
# shellcheck disable=SC2016 # the pod's shell
in_pod t-web web sh -c 'kill $(pidof httpd)'
like "from the port that was asked, too" '^t-one ' "$(from_port 80)"
like "and back to the port that has asked: the gateway's side refuses" 'Connection refused' "$(from_port 40001 || true)"
serve web

K -n t-web annotate pod web podswitch.io/inbound- >/dev/null
check "taken back: it is not answered" poll 20 prints "" answers 0 web
same "nor is a new one" "" "$(answers 1 web)"
K annotate namespace t-web podswitch.io/inbound=on >/dev/null
eventually 20 "on, on the namespace: all its pods are answered" "home $THERE home $THERE web $THERE web $THERE" answers 0 web home
K -n t-web annotate pod home podswitch.io/inbound=off >/dev/null
check "the pod's own annotation wins" poll 20 prints "web $THERE web $THERE" answers 0 web home
for pod in web home; do only "$pod has met its gateway only" t-web $pod t-one; done
