#!/bin/sh
# Makes the vectors again, with the Kafka clients of Maven Central, or hands frames to one of them.
#   make.sh                  write the .txt files beside this script
#   make.sh check VERSION    the client of that version reads the frames on standard input
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${PENSTOCK_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/penstock}/jars-kafka-clients
slf4j=1.7.36

need() {
    command -v "$1" >/dev/null || { echo "make.sh: $1 is not installed" >&2; exit 1; }
}

fetch() { # GROUP:NAME:VERSION
    file=$cache/$(echo "$1" | cut -d: -f2,3 --output-delimiter=-).jar
    [ -f "$file" ] && return
    mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact="$1" -DoutputDirectory="$cache" >&2 ||
        { echo "make.sh: Maven could not fetch $1" >&2; exit 1; }
}

vectors() { # VERSION [check]
    version=$1
    shift
    fetch "org.apache.kafka:kafka-clients:$version"
    java -cp "$cache/kafka-clients-$version.jar:$cache/slf4j-api-$slf4j.jar" "$here/KafkaVectors.java" "$@"
}

need java
need mvn
mkdir -p "$cache"
fetch "org.slf4j:slf4j-api:$slf4j"
if [ $# -gt 0 ]; then
    [ "$1" = check ] && [ $# = 2 ] || { echo "usage: make.sh [check VERSION]" >&2; exit 2; }
    vectors "$2" check
    exit
fi
vectors 4.4.0 >"$here/4.4.0.txt.new"
vectors 3.9.2 >"$here/3.9.2.txt.new"
# Of the older one what the newer one does not say as well.
grep -vxFf "$here/4.4.0.txt.new" "$here/3.9.2.txt.new" >"$here/3.9.2.txt"
rm "$here/3.9.2.txt.new"
mv "$here/4.4.0.txt.new" "$here/4.4.0.txt"
wc -l "$here/4.4.0.txt" "$here/3.9.2.txt"
