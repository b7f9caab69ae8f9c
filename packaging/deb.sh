#!/bin/sh
# deb.sh OUTPUT VERSION COMMIT: Debian packages of this tree, made in OUTPUT/work and left in OUTPUT. Their version ends with
# ~deb12 on Debian 12 and so on: libraries' names differ, and the next release's package must win over this one's.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1/work"
output=$(cd "$1" && pwd)
. /etc/os-release
version=$2~deb$VERSION_ID
work=$output/work/penstock-$2

rm -rf "$work" "$output"/work/*.deb
mkdir "$work"
tar -c --exclude=./build --exclude=./.git --exclude=__pycache__ . | tar -x -C "$work"
cp -r "$work/packaging/deb" "$work/debian"
packaging/changelog.sh deb "$2" | sed "s/^penstock ([^)]*/&~deb$VERSION_ID/" >"$work/debian/changelog"
echo "VERSION=$2 COMMIT=$3" >"$work/debian/build-arguments"
for script in prerm postinst; do
    packaging/insert.sh packaging/deb/penstock.$script >"$work/debian/penstock.$script"
done
for unit in penstock penstock@; do
    cp "packaging/common/$unit.service" "$work/debian/$unit.service"
done
cd "$work"
dpkg-checkbuilddeps
log=$output/work/deb-$2.log
DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-parallel=$(nproc)}" dpkg-buildpackage -b -us -uc >"$log" 2>&1 || {
    tail -40 "$log" >&2
    echo "deb.sh: dpkg-buildpackage failed; all of it is in $log" >&2
    exit 1
}
cd "$output/work"
mv penstock*_"$version"_*.deb penstock_"$version"_*.changes penstock_"$version"_*.buildinfo "$output/"
ls "$output"/*_"$version"_*.deb
