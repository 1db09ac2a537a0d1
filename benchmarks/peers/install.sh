#!/bin/sh
# The receivers that the benchmark compares with, as far as they can be installed here. What is
# missing afterwards is left out by the benchmark, which says so.
set -u
cd "$(dirname "$0")/../.."

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
export DEBIAN_FRONTEND=noninteractive

apt_install() { # PACKAGE: from Debian, without what it recommends
    dpkg -s "$1" >/dev/null 2>&1 && return
    command -v apt-get >/dev/null 2>&1 || { echo "$1: no apt-get here" >&2; return; }
    echo "installing $1 ..." >&2
    $as_root apt-get install -y -qq --no-install-recommends "$1" >/dev/null 2>&1 ||
        { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends "$1"; } \
            >/dev/null 2>&1 || echo "$1: could not be installed" >&2
}

apt_install dcmtk
had_orthanc=$(command -v Orthanc || true)
apt_install orthanc
# Debian's package starts a service, which nobody has asked for.
[ -n "$had_orthanc" ] || ! command -v systemctl >/dev/null 2>&1 ||
    $as_root systemctl disable --now orthanc >/dev/null 2>&1
command -v java >/dev/null 2>&1 && apt_install libpixelmed-java

node="${XDG_CACHE_HOME:-$HOME/.cache}/aiodicom-bench/node"
if command -v npm >/dev/null 2>&1; then
    if [ ! -d "$node/node_modules/dcmjs-dimse" ]; then
        echo "installing dcmjs-dimse ..." >&2
        mkdir -p "$node"
        npm install --silent --no-fund --no-audit --prefix "$node" dcmjs-dimse@0.3 >&2 ||
            echo "dcmjs-dimse: could not be installed" >&2
    fi
else
    echo "dcmjs-dimse: no npm here" >&2
fi

command -v dicom-storescp >/dev/null 2>&1 ||
    echo "dicom-rs: not installed; cargo install dicom-storescp" >&2
exit 0
