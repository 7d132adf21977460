#!/usr/bin/env bash
# Runs a command against a Kafka broker and a ClickHouse engine of its own, both on free ports, and stops both
# whatever happens. Data of a former run is wiped first.
#   deploy/local/test-stack.sh run -- cargo test --workspace
#   JIXINDA_DATA        where the data go, in test/       (<clone>/.local)
#   CARGO_TARGET_DIR    where the program is built        (<clone>/target)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

root=$(cd "$here/../.." && pwd)
data=$(realpath -m -- "${JIXINDA_DATA:-$root/.local}")/test
engine_limit=60
groups=()

[[ ${1-} == run && ${2-} == -- && $# -ge 3 ]] || die "usage: test-stack.sh run -- COMMAND [ARGUMENT...]"
shift 2

hex() { od -An -v -tx1 -N 16 /dev/urandom | tr -d ' \n'; }

# Below the ports that the system gives out by itself.
free_port() {
  local port
  for _ in {1..200}; do
    port=$((20000 + RANDOM % 10000))
    if [[ -z $(ss -H -ltn "sport = :$port") ]]; then
      echo "$port"
      return
    fi
  done
  die "no free port between 20000 and 30000"
}

kafka() { JIXINDA_DATA=$data "$here/kafka.sh" "$@"; }

# Brokers that tests started for themselves and did not live to stop.
# shellcheck disable=SC2329 # called by the trap as well
stop_others() {
  local pid
  for pid in "$data"/*/kafka/pid; do
    [[ ! -e $pid ]] || JIXINDA_DATA=${pid%/kafka/pid} "$here/kafka.sh" stop
  done
}

# shellcheck disable=SC2317,SC2329 # called by the trap
group_ends() {
  for _ in {1..100}; do
    kill -0 -- "-$1" 2>/dev/null || return 0
    sleep 0.1
  done
  return 1
}

# shellcheck disable=SC2317,SC2329 # called by the trap
stop_all() {
  local code=$? group
  trap '' INT TERM
  trap - EXIT
  # The command and the engine, each with all that they started.
  for group in "${groups[@]}"; do
    kill -TERM -- "-$group" 2>/dev/null || continue
    group_ends "$group" || kill -KILL -- "-$group" 2>/dev/null || true
  done
  kafka stop >&2 || note "the broker of $data did not stop"
  stop_others >&2 || note "a broker of a test did not stop"
  exit "$code"
}

mkdir -p "$data"
exec {lock}>"$data.lock"
flock --nonblock "$lock" || die "another test run uses $data; wait for it, or set JIXINDA_DATA"

cd "$root"
# As the tests are built: another choice of packages would build everything once more, with other features.
cargo test --workspace --no-run || die "the tests do not build"
program=${CARGO_TARGET_DIR:-$root/target}/debug/jixinda
library=$("$here/libchdb.sh" fetch) || die "the ClickHouse engine library cannot be had"

kafka stop >/dev/null
stop_others >/dev/null
rm -rf "$data"
mkdir -p "$data"

# Job control puts each background command into a process group of its own.
set -m
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export JIXINDA_KAFKA_PORT JIXINDA_KAFKA_CONTROLLER_PORT
JIXINDA_KAFKA_PORT=$(free_port)
JIXINDA_KAFKA_CONTROLLER_PORT=$(free_port)
kafka start {lock}>&- >&2 || die "the broker does not start"

engine=127.0.0.1:$(free_port)
write_password=$(hex)
read_password=$(hex)
env JIXINDA__ENGINE__LIBRARY="$library" JIXINDA__ENGINE__DATA_DIR="$data/clickhouse" \
  JIXINDA__ENGINE__LISTEN="$engine" JIXINDA__ENGINE__INGEST_PASSWORD="$write_password" \
  JIXINDA__ENGINE__READ_PASSWORD="$read_password" \
  "$program" engine </dev/null >"$data/engine.log" 2>&1 {lock}>&- &
groups+=("$!")
began=$SECONDS
until [[ $(curl -fsS --max-time 2 "http://$engine/ping" 2>/dev/null) == Ok. ]]; do
  if ! kill -0 "${groups[0]}" 2>/dev/null || ((SECONDS - began >= engine_limit)); then
    tail -n 25 "$data/engine.log" >&2
    die "the ClickHouse engine does not start; its log is $data/engine.log"
  fi
  sleep 0.1
done
note "broker 127.0.0.1:$JIXINDA_KAFKA_PORT, ClickHouse $engine, data in $data"

env JIXINDA_TEST_BROKERS="127.0.0.1:$JIXINDA_KAFKA_PORT" JIXINDA_TEST_CLICKHOUSE="http://$engine" \
  JIXINDA_TEST_CLICKHOUSE_PASSWORD="$write_password" JIXINDA_TEST_CLICKHOUSE_READ_PASSWORD="$read_password" \
  JIXINDA_TEST_DATA="$data" JIXINDA_TEST_LIBCHDB="$library" "$@" </dev/null {lock}>&- &
groups+=("$!")
code=0
wait "$!" || code=$?
exit "$code"
