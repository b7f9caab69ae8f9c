# running: processes of this root, by their numbers. Containers and chroots below it run a penstock of their own.
running() {
	for folder in /proc/[0-9]*; do
		case $(readlink "$folder/exe") in
		'/usr/bin/penstock' | '/usr/bin/penstock (deleted)') ;;
		*) continue ;;
		esac
		[ ! "$folder/root" -ef / ] || echo "${folder#/proc/}"
	done
}

# stop_running: what was started by hand, or by a container; where systemd runs, it has stopped the units. SIGTERM drains, for up to
# timeouts.drain, which may be longer than the 75 s that are waited here; what is left then is killed.
stop_running() {
	seconds=0
	for pid in $(running); do
		kill -TERM "$pid" || :
	done
	while [ -n "$(running)" ] && [ $seconds -lt 75 ]; do
		sleep 1
		seconds=$((seconds + 1))
	done
	for pid in $(running); do
		kill -KILL "$pid" || :
	done
}
