#!/bin/sh
# Makes the root file system of the base image: bootstrap.sh DIR MIRROR [debootstrap options]
# Debian's minimal system without what a container never reads. Runs as root, on the host.
set -eu
root=$1 mirror=$2
shift 2

# The same exclusions hold for every package the other recipes add.
mkdir -p "$root/etc/dpkg/dpkg.cfg.d" "$root/etc/apt/apt.conf.d"
cat > "$root/etc/dpkg/dpkg.cfg.d/slim" <<'CFG'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
CFG
cat > "$root/etc/apt/apt.conf.d/slim" <<'CFG'
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
CFG

debootstrap --variant=minbase --include=ca-certificates "$@" bookworm "$root" "$mirror"

cat > "$root/etc/apt/sources.list" <<SRC
# A name that only a build of this project answers; to install packages elsewhere, put a Debian mirror here.
deb $mirror bookworm main
deb $mirror bookworm-updates main
deb $mirror-security bookworm-security main
SRC

# What was unpacked before the exclusions took effect, and the caches.
find "$root/usr/share/doc" -mindepth 2 ! -name copyright -type f -delete
find "$root/usr/share/doc" -mindepth 1 -type l -delete
find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
rm -rf "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/lintian "$root"/usr/share/locale/* \
    "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/* "$root"/debootstrap "$root"/tmp/*
mkdir -p "$root/var/cache/apt/archives/partial" "$root/var/log/apt"
: > "$root/etc/machine-id"
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
install -m 0755 "$(dirname "$0")/install-packages" "$root/usr/local/sbin/install-packages"
