#!/usr/bin/env bash
# Runs a command of the README on a fresh Debian 12: in a folder with nothing but Debian's smallest
# base system, g++, cmake and python3, and a clone of what is committed here. It shows that the
# command installs everything else that it needs.
#
#   tools/fresh_machine.sh                        bash tools/test.sh
#   tools/fresh_machine.sh bash tools/demo.sh     any other command, run in the clone
#
# Needs root, and an apt that knows a mirror of Debian 12: packages come from there. The folder is
# made anew each time and stays behind for a look; MARBLE_FRESH_ROOT names another place for it.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=bookworm
root=${MARBLE_FRESH_ROOT:-$PWD/build/fresh-machine}
command=("$@")
[ $# -gt 0 ] || command=(bash tools/test.sh)
began=$SECONDS
say() { printf 'fresh machine: %s\n' "$*"; }
fail() {
  printf 'fresh machine: %s\n' "$*" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || fail "only root can make a system in a folder and change into it"
command -v debootstrap >/dev/null 2>&1 ||
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends debootstrap; } >/dev/null
mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(SITE)' 'Identifier: Packages' |
  awk -v suite="$suite" '$1 == suite && $2 == "main" { print $3; exit }')
[ -n "$mirror" ] || fail "apt knows no mirror of Debian $suite here"

# A folder that this script did not make is left alone.
[ ! -e "$root" ] || [ -e "$root/fresh-machine" ] || fail "$root is there and not from this script"
rm -rf --one-file-system "$root"
mkdir -p "$root"
touch "$root/fresh-machine"
say "making Debian $suite in $root"
debootstrap --variant=minbase --include=g++,cmake,python3 "$suite" "$root" "$mirror" \
  >"$root/debootstrap.log" 2>&1 || fail "debootstrap failed, see $root/debootstrap.log"
git clone --quiet --no-hardlinks . "$root/marble"

# How this machine reaches its package registries holds there as well: name servers, apt's and pip's
# settings, proxies and certificates. Not its folders of ready-made packages: a fresh machine has
# none.
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
if [ -r /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/pip.conf"; fi
apt-config dump | grep -E '^Acquire::(http|https)::' >"$root/etc/apt/apt.conf.d/90machine" || true
environment=(
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  HOME=/root
  LANG=C.UTF-8
)
while IFS='=' read -r -d '' name value; do
  case ${name,,} in
    pip_find_links | marble_fresh_root) continue ;;
    pip_* | http_proxy | https_proxy | no_proxy | all_proxy | ssl_cert_file | marble_* | ci) ;;
    *) continue ;;
  esac
  if [[ $name == *CERT* && -f $value ]]; then
    # At a path of its own: Debian's own certificates may be installed by the command.
    install "$value" "$root/etc/$name.pem"
    value=/etc/$name.pem
  fi
  environment+=("$name=$value")
done </proc/self/environ
say "ready after $((SECONDS - began)) s; running ${command[*]}"

# Mounts and processes of their own: both go when the command ends, however it ends.
began=$SECONDS
status=0
unshare --mount --pid --fork --kill-child bash -c '
  set -e
  root=$1
  shift
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  exec chroot "$root" env -i "$@"
' fresh-machine "$root" "${environment[@]}" \
  bash -c 'cd /marble && exec "$@"' fresh-machine "${command[@]}" </dev/null || status=$?
took=$((SECONDS - began))
say "${command[*]} ended with $status after $((took / 60)) min $((took % 60)) s"
exit "$status"
