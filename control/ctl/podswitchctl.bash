# SPDX-License-Identifier: Apache-2.0
# podswitchctl.bash - completion for bash; words come from --help and from the running podswitchd, so none are kept here

_podswitchctl_names() { # gateway | port
	podswitchctl "${socket[@]}" "$1" list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_podswitchctl() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local words=() socket=() choices i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket)
			socket=(-s "${COMP_WORDS[++i]}")
			;;
		-*) ;;
		*)
			((${#words[@]} < 2)) && words+=("${COMP_WORDS[i]}")
			;;
		esac
	done
	case $previous in
	-s | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--gateway) choices=$(_podswitchctl_names gateway) ;;
	--learning | --isolate | --clamp-mss) choices="on off" ;;
	--underlay) choices="auto host pod" ;;
	--netns) choices=$(ls /run/netns 2>/dev/null) ;;
	--port)
		[[ ${words[0]} == fdb ]] && choices=$(_podswitchctl_names port)
		;;
	esac
	if [[ -z $choices ]]; then
		case ${#words[@]},$word in
		0,-*) choices="--socket --json --help --version" ;;
		*,-*) choices="--socket --json --help "$(podswitchctl "${words[@]}" --help 2>/dev/null |
			awk '$1 ~ /^--/ { print $1 }') ;;
		0,*) choices=$(podswitchctl --help | awk '/^  [a-z]/ { print $1 }' | uniq) ;;
		1,*) choices=$(podswitchctl "${words[0]}" --help 2>/dev/null | awk -v o="${words[0]}" '$1 == o { print $2 }') ;;
		2,*) [[ ${words[0]},${words[1]} =~ ^(gateway|port),(set|show|remove)$ ]] &&
			choices=$(_podswitchctl_names "${words[0]}") ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
}

complete -F _podswitchctl podswitchctl
