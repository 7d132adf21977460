#!/usr/bin/env bash
# Makes the demo's secrets once for each clone and prints the file that holds them, to be sourced:
#   set -a; source "$(deploy/demo/secrets.sh)"; set +a
#   JIXINDA_DATA   where the file goes   (<clone>/.local)
set -euo pipefail
umask 077
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=$(realpath -m -- "${JIXINDA_DATA:-$here/../../.local}")
file=$data/demo.env

hex() { od -An -v -tx1 -N 24 /dev/urandom | tr -d ' \n'; }

if [[ ! -s $file ]]; then
  mkdir -p "$data"
  token=$(hex)
  {
    echo "JIXINDA__SECRETS__PLATFORM_KEY=$(head -c 32 /dev/urandom | base64 -w 0)"
    # Ingest passes status reads on to analytics, which knows it by this.
    echo "JIXINDA__INGEST__STATUS_TOKEN=$token"
    echo "JIXINDA__ANALYTICS__TOKEN=$token"
    for name in SHOP_SECRET BANK_SECRET LAB_{A,B,C}_SECRET RECEIPT_{A,B,C}; do
      echo "JIXINDA_DEMO_$name=$(hex)"
    done
    printf 'JIXINDA_DEMO_JOURNAL=%q\n' "$data/lab-journal.jsonl"
  } >"$file.new"
  mv "$file.new" "$file"
fi
echo "$file"
