#!/usr/bin/env bash
# Checks for what building and running need and installs what is missing with apt.
# With --check it only checks.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

# command:Debian package. gcc, g++, make and pkg-config are for librdkafka and other C code of the build.
needed=(gcc:gcc g++:g++ make:make pkg-config:pkg-config mvn:maven npm:npm curl:curl
  openssl:openssl ss:iproute2 ip:iproute2 flock:util-linux unshare:util-linux kcat:kcat)
java_wanted=17
rust_wanted=$(sed -n 's/^channel = "\(.*\)"$/\1/p' "$here/../../rust-toolchain.toml")

has() { command -v "$1" >/dev/null; }

java_fits() {
  local java=${JAVA_HOME:+$JAVA_HOME/bin/}java version
  version=$("$java" -version 2>&1) || return
  [[ $version =~ \"([0-9]+) ]] && ((BASH_REMATCH[1] >= java_wanted))
}

# rustup fetches the toolchain of rust-toolchain.toml by itself.
rust_fits() {
  local version
  ! has rustup || return 0
  version=$(cargo --version 2>/dev/null) || return
  version=${version#cargo }
  [[ $(printf '%s\n' "$rust_wanted" "${version%% *}" | sort -V | head -n 1) == "$rust_wanted" ]]
}

missing() {
  local item
  for item in "${needed[@]}"; do
    has "${item%%:*}" || echo "${item%%:*}"
  done
  java_fits || echo "java>=$java_wanted"
  rust_fits || echo "rust>=$rust_wanted"
}

first_available() {
  local package
  for package in "$@"; do
    if [[ -n $(apt-cache search --names-only "^$package\$") ]]; then
      echo "$package"
      return
    fi
  done
}

packages_for() {
  local name item
  for name in "$@"; do
    case $name in
      java*) first_available openjdk-{17,21,25}-jre-headless ;;
      rust*) first_available rustup ;;
      *)
        for item in "${needed[@]}"; do
          [[ ${item%%:*} != "$name" ]] || echo "${item#*:}"
        done
        ;;
    esac
  done
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

give_up() {
  note "missing: $*"
  if [[ " $*" == *" rust"* ]]; then
    note "Rust: install rustup as https://rustup.rs says and put ~/.cargo/bin in PATH"
  fi
  exit 1
}

if [[ -n ${JAVA_HOME-} ]] && ! java_fits; then
  die "JAVA_HOME=$JAVA_HOME has no Java $java_wanted or newer; set it to one that has, or unset it"
fi
mapfile -t absent < <(missing)
((${#absent[@]})) || exit 0
[[ ${1-} != --check ]] || give_up "${absent[@]}"
has apt-get || { note "no apt-get here: install them with this system's package manager"; give_up "${absent[@]}"; }
((EUID == 0)) || has sudo || { note "to install them: root or sudo"; give_up "${absent[@]}"; }

note "missing: ${absent[*]}"
as_root apt-get -q update >&2 || note "apt-get update failed; trying with the package lists there are"
mapfile -t packages < <(packages_for "${absent[@]}")
if ((${#packages[@]})); then
  note "installing: ${packages[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends --no-upgrade \
    -o DPkg::Lock::Timeout=120 "${packages[@]}" >&2 || note "apt-get install failed"
fi
mapfile -t absent < <(missing)
((${#absent[@]} == 0)) || give_up "${absent[@]}"
