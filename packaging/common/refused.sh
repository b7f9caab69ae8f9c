# configurations: of what runs, a line each: the file, and how it is told to read that again.
configurations() {
	if [ ! -d /run/systemd/system ]; then
		echo "/etc/penstock/penstock.yaml SIGHUP"
		return
	fi
	units=$(systemctl list-units --plain --no-legend --state=active,reloading penstock.service 'penstock@*.service')
	printf '%s\n' "$units" | while read -r unit _; do
		name=${unit#penstock@}
		[ -z "$name" ] || echo "/etc/penstock/${name%.service}.yaml systemctl reload $unit"
	done
}

# say_refused: which of them this version does not accept, and why.
say_refused() {
	configurations | while read -r file reload; do
		if [ -e "$file" ] && ! penstock check -q -c "$file"; then
			echo "penstock: this version refuses $file, for the reasons above. What runs goes on as the old version;"
			echo "penstock: correct the file, then reload it ($reload)."
		fi
	done >&2
}
