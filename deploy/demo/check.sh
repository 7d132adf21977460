#!/usr/bin/env bash
# What `make run ONCE=1` does, where nothing is in its way: in a network of its own that has loopback only, so that the
# documented ports are free whatever else is up on this machine. Everything must have been fetched before.
#   JIXINDA_DATA   where data and logs go, in demo-check/   (<clone>/.local)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../local/lib.sh
source "$here/../local/lib.sh"

data=$(realpath -m -- "${JIXINDA_DATA:-$here/../../.local}")/demo-check
mkdir -p "$data"
exec {lock}>"$data.lock"
flock --nonblock "$lock" || die "another check uses $data; wait for it, or set JIXINDA_DATA"
rm -rf "$data"
export JIXINDA_DATA=$data

alone=(unshare --net)
((EUID == 0)) || alone=(unshare --user --map-root-user --net)
if "${alone[@]}" true 2>/dev/null; then
  # shellcheck disable=SC2016 # for the inner shell
  "${alone[@]}" bash -c 'ip link set lo up && exec "$@"' - "$here/run.sh" --once
else
  note "this system gives no network namespace: the demo runs on the documented ports of this machine"
  "$here/run.sh" --once
fi
rm -rf "$data"
