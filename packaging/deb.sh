#!/bin/sh
# deb.sh OUTPUT VERSION COMMIT: the Debian packages of this tree, made in OUTPUT/work and left in OUTPUT.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1/work"
output=$(cd "$1" && pwd)
version=$2
work=$output/work/penstock-$version

rm -rf "$work" "$output"/work/*.deb
mkdir "$work"
tar -c --exclude=./build --exclude=./.git --exclude=__pycache__ . | tar -x -C "$work"
cp -r "$work/packaging/deb" "$work/debian"
packaging/changelog.sh deb "$version" >"$work/debian/changelog"
echo "$3" >"$work/debian/commit"
for unit in penstock penstock@; do
    cp "packaging/common/$unit.service" "$work/debian/$unit.service"
done
cd "$work"
dpkg-checkbuilddeps
log=$output/work/deb-$version.log
DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-parallel=$(nproc)}" dpkg-buildpackage -b -us -uc >"$log" 2>&1 || {
    tail -40 "$log" >&2
    echo "deb.sh: dpkg-buildpackage failed; all of it is in $log" >&2
    exit 1
}
mv "$output"/work/penstock*_"$version"_*.deb "$output"/work/penstock_"$version"_*.changes \
    "$output"/work/penstock_"$version"_*.buildinfo "$output/"
ls "$output"/*_"$version"_*.deb
