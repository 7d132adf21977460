#!/usr/bin/env bash
# Makes the demo's secrets once for each clone and prints the file that holds them, to be sourced:
#   set -a; source "$(deploy/demo/secrets.sh)"; set +a
# What the file has is kept; what it lacks is added.
#   JIXINDA_DATA         where the file goes, and all data of the demo   (<clone>/.local)
#   JIXINDA_KAFKA_PORT   where kafka.sh has the broker                   (9092)
set -euo pipefail
umask 077
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=$(realpath -m -- "${JIXINDA_DATA:-$here/../../.local}")
file=$data/demo.env

hex() { od -An -v -tx1 -N 24 /dev/urandom | tr -d ' \n'; }

# Prints the value that the file has for a name, or else the given one.
kept() {
  local line
  if line=$(grep -m 1 "^$1=" "$file" 2>/dev/null); then echo "${line#*=}"; else echo "$2"; fi
}

keep() { echo "$1=$(kept "$1" "$2")"; }

mkdir -p "$data"
{
  keep JIXINDA__SECRETS__PLATFORM_KEY "$(head -c 32 /dev/urandom | base64 -w 0)"
  # Ingest passes status reads on to analytics, which knows it by this.
  token=$(kept JIXINDA__ANALYTICS__TOKEN "$(hex)")
  echo "JIXINDA__INGEST__STATUS_TOKEN=$token"
  echo "JIXINDA__ANALYTICS__TOKEN=$token"
  password=$(kept JIXINDA__ENGINE__INGEST_PASSWORD "$(hex)")
  echo "JIXINDA__ANALYTICS__PASSWORD=$password"
  echo "JIXINDA__ENGINE__INGEST_PASSWORD=$password"
  keep JIXINDA__ENGINE__READ_PASSWORD "$(hex)"
  for name in SHOP_SECRET BANK_SECRET LAB_{A,B,C}_SECRET RECEIPT_{A,B,C}; do
    keep "JIXINDA_DEMO_$name" "$(hex)"
  done
  # No secrets, but what every command of this clone's demo needs.
  printf 'JIXINDA_DEMO_JOURNAL=%q\n' "$data/lab-journal.jsonl"
  printf 'JIXINDA__ENGINE__DATA_DIR=%q\n' "$data/clickhouse"
  printf 'JIXINDA__KAFKA__BROKERS=127.0.0.1:%q\n' "${JIXINDA_KAFKA_PORT:-9092}"
  printf 'JIXINDA_CONFIG=%q\n' "$here/jixinda.toml"
} >"$file.new.$$"
mv "$file.new.$$" "$file"
echo "$file"
