#!/usr/bin/env bash
# A real kube-apiserver and etcd for tests, from Debian 12: etcd as its package has it, kube-apiserver compiled from the
# source package (5 minutes on two cores, 3 GB of disk while it lasts). Needs apt, dpkg-dev and make; no root. Nothing is
# installed system-wide.
#
#   kube-apiserver.sh install      build them into $KUBE_PKG/bin, unless they are there
#
# KUBE_PKG   where the two programs live   (default ~/.cache/kube-apiserver-deb12)
set -euo pipefail
PKG=${KUBE_PKG:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-apiserver-deb12}
NEW=$PKG/new
say() { echo "kube-apiserver: $*" >&2; }
die() { say "$*"; exit 1; }
trap 'rc=$?; [ $rc = 0 ] || say "failed; the output is in $PKG/install.log"' EXIT

install() { mkdir -p "$PKG"; (flock 9; build 9>&-) 9>"$PKG/.lock"; }      # one at a time

# The machine's own archives with their sources, in a private configuration: most machines list binaries alone.
apt_configuration() {
  local etc=$NEW/apt/etc file
  mkdir -p "$etc/sources.list.d" "$NEW/apt/lists/partial" "$NEW/apt/cache/archives/partial" "$NEW/apt/tmp"
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] && sed -E 's/^Types:.*/Types: deb deb-src/' "$file" >"$etc/sources.list.d/${file##*/}"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] && sed -E '/^deb-src /d; s/^deb (.*)/&\ndeb-src \1/' "$file" >"$etc/sources.list.d/x-${file##*/}.list"
  done
  APT=(env "TMPDIR=$NEW/apt/tmp" apt-get -q -o "APT::Sandbox::User=$(id -un)" -o "Dir::Etc::sourcelist=/dev/null"
    -o "Dir::Etc::sourceparts=$etc/sources.list.d" -o "Dir::State::lists=$NEW/apt/lists" -o "Dir::Cache=$NEW/apt/cache")
}

build() {
  [ -e "$PKG/ok" ] && return 0
  local program version tree root=$NEW/root
  for program in apt-get dpkg-source dpkg-deb make; do command -v $program >/dev/null || die "needs $program (packages apt, dpkg-dev, make)"; done
  say "builds kube-apiserver in $PKG; that takes some minutes"
  rm -rf "$NEW"; mkdir -p "$NEW/debs" "$NEW/src" "$root" "$NEW/go/src/k8s.io" "$PKG/bin"
  exec 3>&2 >"$PKG/install.log" 2>&1
  apt_configuration
  "${APT[@]}" update
  # golang's two packages, and rsync and jq, which the makefile calls, with what they need.
  (cd "$NEW/debs" && "${APT[@]}" download golang-1.19-go golang-1.19-src rsync libpopt0 libxxhash0 jq libjq1 libonig5 etcd-server)
  for deb in "$NEW"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
  (cd "$NEW/src" && "${APT[@]}" source --only-source kubernetes)
  tree=$(echo "$NEW"/src/kubernetes-*/)
  version=v$(basename "$tree" | sed 's/^kubernetes-//')
  mv "$tree" "$NEW/go/src/k8s.io/kubernetes"
  export PATH=$root/usr/lib/go-1.19/bin:$root/usr/bin:$PATH LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu
  export GOPATH=$NEW/go GOROOT=$root/usr/lib/go-1.19 GOCACHE=$NEW/gocache GO111MODULE=off CGO_ENABLED=0 GOFLAGS= TMPDIR=$NEW/apt/tmp
  export KUBE_GIT_VERSION=$version KUBE_GIT_MAJOR=1 KUBE_GIT_MINOR=$(echo "$version" | cut -d. -f2) KUBE_GIT_COMMIT=x KUBE_GIT_TREE_STATE=archive FORCE_HOST_GO=y
  make -C "$NEW/go/src/k8s.io/kubernetes" kube-apiserver
  mv "$NEW/go/src/k8s.io/kubernetes/_output/local/bin/linux"/*/kube-apiserver "$root/usr/bin/etcd" "$PKG/bin/"
  "$PKG/bin/kube-apiserver" --version
  "$PKG/bin/etcd" --version
  exec 2>&3
  chmod -R u+w "$NEW"; rm -rf "$NEW"
  touch "$PKG/ok"; say "built $version in $PKG/bin"
}

case ${1:-} in
  install) install ;;
  *) sed -n '2,9p' "$0"; exit 2 ;;
esac
