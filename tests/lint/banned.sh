#!/bin/sh
# Calls that must not be made: on sockets and pipes outside of src/uring and src/net, because the
# simulator replaces those two folders; and the string functions that know no bounds, anywhere.
# Exceptions with their reasons: banned.txt.
set -u
cd "$(dirname "$0")/../.." || exit 1

sockets='socket|socketpair|accept|accept4|connect|bind|listen|send|sendto|sendmsg|sendmmsg|sendfile'
sockets="$sockets|recv|recvfrom|recvmsg|recvmmsg|splice|tee|vmsplice|pipe|pipe2|shutdown"
sockets="$sockets|setsockopt|getsockopt|getsockname|getpeername|ioctl|io_uring_[a-z0-9_]+|syscall"
strings='strcpy|strcat|stpcpy|sprintf|vsprintf|strtok|strtok_r|gets|atoi|atol|atoll|atof|alloca'
strings="$strings|strerror|system|popen|epoll_[a-z0-9_]+|select"

# Without comments and the contents of strings; line numbers stay.
bare() {
    gcc -fpreprocessed -dD -E -w "$1" 2>/dev/null | sed 's/"\([^"\\]\|\\.\)*"/""/g'
}

for file in $(find src -name '*.[ch]' | sort); do
    calls=$strings
    case $file in
    src/uring/* | src/net/*) ;;
    *) calls="$calls|$sockets" ;;
    esac
    bare "$file" | awk -v file="$file" -v calls="$calls" '
        BEGIN {
            while ((getline row < "tests/lint/banned.txt") > 0) {
                split(row, words, " ")
                if (words[1] == file) {
                    count = split(words[2], names, ",")
                    for (i = 1; i <= count; i++)
                        allowed[names[i]] = 1
                }
            }
        }
        # A linemarker sets the number of the line after it.
        /^# [0-9]+ / { line = $2 - 1; next }
        {
            line++
            rest = $0
            while (match(rest, "(^|[^A-Za-z0-9_.>])(" calls ")[ \t]*\\(")) {
                name = substr(rest, RSTART, RLENGTH)
                gsub(/[^A-Za-z0-9_]/, "", name)
                if (!(name in allowed)) {
                    printf "%s:%d: %s is banned here (tests/lint/banned.sh says why)\n", \
                        file, line, name
                    failed = 1
                }
                rest = substr(rest, RSTART + RLENGTH)
            }
        }
        END { exit failed }' || failed=1
done
exit "${failed:-0}"
