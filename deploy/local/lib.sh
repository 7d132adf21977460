# shellcheck shell=bash
# Shared by the scripts of this folder.

# shellcheck disable=SC2034 # used by the scripts
cache_dir=$(realpath -m -- "${JIXINDA_CACHE:-${HOME:?}/.cache/jixinda}")

note() { echo "${0##*/}: $*" >&2; }

die() {
  note "$@"
  exit 1
}

# fetch_once TARGET COMMAND...: fills the directory TARGET by `COMMAND... DIR`, all or nothing.
# Callers must not test its result: that would switch off `set -e` inside COMMAND.
fetch_once() {
  local target=$1 part=$1.part lock
  shift
  [[ ! -d $target ]] || return 0
  mkdir -p "${target%/*}"
  exec {lock}>"$target.lock"
  if ! flock --nonblock "$lock"; then
    note "waiting for another download of $target"
    flock "$lock"
  fi
  if [[ ! -d $target ]]; then
    rm -rf "$part"
    mkdir "$part"
    "$@" "$part"
    mv -T "$part" "$target"
  fi
  exec {lock}>&-
}
