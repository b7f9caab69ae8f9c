#!/bin/sh
# rpm.sh OUTPUT VERSION COMMIT [RPMBUILD-OPTION...]: rpm packages of this tree, made in OUTPUT/work/rpm and left in OUTPUT.
# --without bundled: wolfSSL and ZooKeeper's client as shared libraries.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
output=$(cd "$1" && pwd)
version=$2
commit=$3
shift 3
top=$output/work/rpm
rm -rf "$top"
mkdir -p "$top/SOURCES" "$top/SPECS"
date=$(TZ=UTC date -d "$(awk 'NR == 1 { print $2 }' packaging/common/changelog)" +%s)

tar -c --exclude=./build --exclude=./.git --exclude=__pycache__ --sort=name --mtime="@$date" --owner=0 --group=0 --numeric-owner \
    --transform "s|^\.|penstock-$version|" . | gzip -n >"$top/SOURCES/penstock-$version.tar.gz"
# What is bundled is passed on under its own terms, which Debian's packages of it bring along.
cp /usr/share/doc/libwolfssl-dev/copyright "$top/SOURCES/wolfssl.copyright"
cp /usr/share/doc/libzookeeper-mt-dev/copyright "$top/SOURCES/zookeeper.copyright"
cp /usr/share/common-licenses/Apache-2.0 "$top/SOURCES/zookeeper.license"
{ packaging/insert.sh packaging/rpm/penstock.spec; packaging/changelog.sh rpm "$version"; } >"$top/SPECS/penstock.spec"

# Times, names and paths of this machine stay out. Fedora's compression, which older rpms read, too. --nodeps: on Debian, rpm's
# database knows no package; the build fails soon enough where a library lacks.
log=$output/work/rpm-$version.log
zookeeper=$(sed -n 's/.*define ZOO_VERSION "\(.*\)".*/\1/p' /usr/include/zookeeper/zookeeper_version.h)
SOURCE_DATE_EPOCH=$date rpmbuild -bb --nodeps \
    --define "_topdir $top" --define "_version $version" --define "_commit $commit" \
    --define "_wolfssl_version $(pkg-config --modversion wolfssl)" --define "_zookeeper_version $zookeeper" \
    --define "_build_id_links none" --define "_debugsource_template %{nil}" \
    --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" --define "_buildhost penstock" \
    --define "_binary_payload w19.zstdio" "$@" "$top/SPECS/penstock.spec" >"$log" 2>&1 || {
    tail -40 "$log" >&2
    echo "rpm.sh: rpmbuild failed; all of it is in $log" >&2
    exit 1
}
mv "$top"/RPMS/*/*.rpm "$output/"
ls "$output"/penstock*-"$version"-*.rpm
