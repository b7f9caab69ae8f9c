# Checks #include lines against layers.txt.  usage: awk -f layers.awk layers.txt FILE...
# POSIX awk: mawk is what Debian has.

function report(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	failed = 1
}

# "src/worker/session/x.c" or "penstock/worker/session.h": the deepest module of the table in it.
function module_of(path, parts, count, i, name, found) {
	sub(/^src\//, "", path)
	sub(/^include\//, "", path)
	sub(/^penstock\//, "", path)
	sub(/\.[a-z]+$/, "", path)
	count = split(path, parts, "/")
	name = ""
	found = ""
	for (i = 1; i <= count; i++) {
		name = name (i > 1 ? "/" : "") parts[i]
		if (name in known)
			found = name
	}
	return found
}

FILENAME == ARGV[1] {
	if ($1 == "module") {
		known[$2] = 1
		for (i = 3; i <= NF; i++)
			may[$2, $i] = 1
	} else if ($1 == "owner") {
		owners++
		header[owners] = $2
		for (i = 3; i <= NF; i++)
			owns[owners, $i] = 1
	} else if ($1 == "except") {
		for (i = 3; i <= NF && $i != ":"; i++)
			excepted[$2, $i] = 1
		if (i >= NF)
			report("an exception needs a reason")
	}
	next
}

FNR == 1 {
	module = module_of(FILENAME)
	if (module == "")
		report("this file is in no module of layers.txt")
}

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
	match($0, /[<"][^>"]*[>"]/)
	name = substr($0, RSTART + 1, RLENGTH - 2)
	if (name ~ /\.\./)
		report("no ../ in includes: " name)
	if (name ~ /^penstock\//) {
		target = module_of(name)
		if (target == "")
			report(name " is in no module of layers.txt")
		else if (target != module && !((module, target) in may) && !((module, "*") in may) && \
			 !((FILENAME, name) in excepted))
			report(module " may not include " target " (" name ")")
		next
	}
	for (i = 1; i <= owners; i++) {
		is_folder = header[i] ~ /\/$/
		if (name != header[i] && !(is_folder && index(name, header[i]) == 1))
			continue
		if (!((i, module) in owns) && !((FILENAME, name) in excepted))
			report("only its owner may include " name)
	}
}

END { exit failed }
