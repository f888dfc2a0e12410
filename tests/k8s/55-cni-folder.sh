#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 55-cni-folder.sh - the node's CNI folder has other owners: we follow the network's file, keep what others add to our
# list, stand behind Multus, and do not fight with one that takes the list away; the program is put back
# shellcheck source=lib.sh

FOLDER=/host/etc/cni/net.d
LIST=$FOLDER/00-podswitch.conflist
BIN=/host/opt/cni/bin
listed() { hand "$N1" cat $LIST; }
list_has() { says "$1" listed; }
metric() { metrics "$N1" | sed -n "s/^$1 //p"; }
not_ready() { says "$1" hand "$N1" sh -c "printf 'GET /readyz HTTP/1.0\r\n\r\n' | nc -w 2 127.0.0.1 9470"; }
program() { hand "$N1" sh -c "cmp $BIN/podswitch-cni /proc/$(daemon "$N1" podswitch-agent)/root/usr/sbin/podswitch-cni"; }

space t-one
space t-bare
gateway t-one "$N1"
poll 60 gateway_up t-one || die "no gateway in t-one"
file=$(hand "$N1" sh -c "cd $FOLDER && ls | grep -v podswitch | head -n 1")
hand "$N1" cp "$FOLDER/$file" /capture/original
check "our list comes first, and has the network's name" list_has "\"file\": \"$file\""
same "the network's own file has nothing of ours" "" "$(hand "$N1" grep podswitch "$FOLDER/$file" || true)"

hand "$N1" sh -c "sed 's/{/{ \"podswitch-test\": 1.5,/' /capture/original >$FOLDER/.new && mv $FOLDER/.new $FOLDER/$file"
within "the network's file changes: ours follows" 2 list_has podswitch-test
hand "$N1" sh -c "sed -i 's/\\(.*\\)\\]/\\1, {\"type\": \"tuning\"}]/' $LIST"
check "a mesh's installer adds itself to ours" list_has '"tuning"'
hand "$N1" sh -c "cp /capture/original $FOLDER/$file"
within "which follows again" 2 not list_has podswitch-test
check "and keeps what the other has added" list_has '"tuning"'
client t-bare meshed "$N1" gateway=vpn.t-one
check "a pod starts through both" ready t-bare meshed
only "and has met its gateway only" t-bare meshed t-one
hand "$N1" rm $LIST
within "the list is removed: back at once" 2 list_has podswitch-cni
hand "$N1" sh -c ": >$LIST"
within "emptied: too" 2 list_has podswitch-cni

# Multus before it has been told of any network, as after some boots.
hand "$N1" sh -c ": >$FOLDER/00-multus.conf"
within "Multus is in front: the entry goes into the file behind it" 2 says podswitch-cni hand "$N1" cat "$FOLDER/$file"
check "our own list makes way" not hand "$N1" test -e $LIST
same "Multus's file is left alone" "" "$(hand "$N1" cat $FOLDER/00-multus.conf)"
hand "$N1" rm $FOLDER/00-multus.conf
within "Multus goes: our list is back" 2 list_has podswitch-cni
check "and the network's file as it was" poll 5 hand "$N1" cmp /capture/original "$FOLDER/$file"

# The changes above count against the three of a minute, too. The program does not, and takes the most of one.
since=$SECONDS
hand "$N1" rm $BIN/podswitch-cni
within "the program is removed: it is put back" 60 program
client t-bare again "$N1" gateway=vpn.t-one
check "a pod starts" ready t-bare again

# An owner like Cilium with cni.exclusive=true.
[ $((SECONDS - since)) -ge 60 ] || sleep $((60 - (SECONDS - since)))
rewrites=$(metric podswitch_agent_cni_rewrites_total)
hand "$N1" sh -c "(while [ ! -e /capture/enough ]; do mv $LIST $LIST.cilium_bak 2>/dev/null && echo >>/capture/fights; usleep 20000; done) >/dev/null 2>&1 &"
begin
within "one that takes our list away each time: we are not ready" 30 not_ready 'cni.exclusive=false'
check "an Event on the node names it" poll 10 node_event_like "$N1" CNIConfigContested 'Cilium.*cni.exclusive=false'
like "and so does the log" 'Cilium takes podswitch-cni out of the network configuration' "$(agent_log "$N1")"
same "a metric says so" 1 "$(metric podswitch_agent_cni_contested)"
sleep 20
same "the list was written anew three times, and no more" $((rewrites + 3)) "$(metric podswitch_agent_cni_rewrites_total)"
# A file that is gone when it is looked over is written once more, twice at most, which counts as one.
fights=$(hand "$N1" sh -c 'wc -l </capture/fights')
check "it was taken away as often, or a little more ($fights)" [ "$fights" -le $((1 + 3 * 3)) ]
hand "$N1" touch /capture/enough
within "the other gives up: our list stays" 70 list_has podswitch-cni
check "and we are ready" poll 20 agents_ready
client t-bare settled "$N1" gateway=vpn.t-one
check "a pod starts" ready t-bare settled
only "and has met its gateway only" t-bare settled t-one

if [ -n "$BED" ]; then
	hand "$N1" sh -c "mv $BIN $BIN.old && mkdir $BIN && cp -a $BIN.old/* $BIN && rm -r $BIN/podswitch-cni $BIN.old"
	within "the folder is exchanged for another: it comes there" 90 program
	check "and the agent is ready" poll 60 agents_ready
fi
hand "$N1" rm -f /capture/original /capture/enough /capture/fights
