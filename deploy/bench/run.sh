#!/usr/bin/env bash
# Measures on a stack of its own: a broker, a ClickHouse engine, the vendor lab and each role as a process of its own, all
# on free loopback ports, in .local/bench, which is wiped first. Everything is stopped at the end.
#   run.sh accept [OPTION...]   ingest and broker only, with 64 and then 256 connections
#   run.sh e2e [OPTION...]      all roles, lab and load
#   run.sh read-back [OPTION...]   e2e as it is, and with senders that do not read their claims back, twice each in turn
#   run.sh takeover [MESSAGES]  kill -9 of a router with so many open messages (200000), until another acts for them
# Options go to `jixinda bench`: see `jixinda bench accept --help`.
#   JIXINDA_BENCH_PROGRAM   the program           (a release build of this clone)
#   JIXINDA_DATA            where the data go, in bench/   (<clone>/.local)
#   PARTITIONS              of each message topic; more let more processes share the work, and cost more   (6)
#   WARM_UP                 seconds of load beforehand, not counted: a fresh JVM costs several times as much   (20)
#   MAX_NUMBERS             messages that a vendor call may carry (1)
#   LATENCY                 of the vendor's answer   (5ms)
#   IN_FLIGHT               messages in calls open at once, of each of the three channels   (500)
#   KEEP=1                  keep data and logs of a good run, for a look at them
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../local/lib.sh
source "$root/deploy/local/lib.sh"

mode=${1-}
case $mode in
  accept | e2e | takeover) ;;
  read-back)
    shift
    cd "$root"
    nice cargo build --release --package jixinda --bin jixinda --features bench-without-read-back
    release=${CARGO_TARGET_DIR:-$root/target}/release
    cp "$release/jixinda" "$release/jixinda-without-read-back"
    nice cargo build --release --package jixinda --bin jixinda
    for _ in 1 2; do
      for program in jixinda jixinda-without-read-back; do
        note "with $program"
        JIXINDA_BENCH_PROGRAM=$release/$program "$here/run.sh" e2e "$@" || note "not good, see above"
      done
    done
    exit
    ;;
  *) die "usage: run.sh accept|e2e|read-back|takeover [OPTION...]" ;;
esac
shift
data=$(realpath -m -- "${JIXINDA_DATA:-$root/.local}")/bench
ready_limit=60
names=()
pids=()

hex() { od -An -v -tx1 -N 24 /dev/urandom | tr -d ' \n'; }

# Below the ports that the system gives out by itself, and none twice.
taken=" "
free_port() {
  local port
  for _ in {1..200}; do
    port=$((20000 + RANDOM % 10000))
    if [[ $taken != *" $port "* && -z $(ss -H -ltn "sport = :$port") ]]; then
      taken+="$port "
      printf -v "$1" %s "$port"
      return
    fi
  done
  die "no free port between 20000 and 30000"
}

kafka() { JIXINDA_DATA=$data "$root/deploy/local/kafka.sh" "$@"; }

# shellcheck disable=SC2329 # called by the trap
stop_all() {
  local code=$? pid i
  trap '' INT TERM
  trap - EXIT
  # Those started last first, so that readers and writers go before what they use.
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    pid=${pids[i]}
    kill -TERM "$pid" 2>/dev/null || continue
    for _ in {1..250}; do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null && note "${names[i]} did not end by itself"
  done
  kafka stop >&2 || note "the broker of $data did not stop"
  if ((code == 0)) && [[ -z ${KEEP-} ]]; then rm -rf "$data"; else note "logs are in $data"; fi
  exit "$code"
}

# start NAME COMMAND...: in the background, with a log of its own.
start() {
  local name=$1
  shift
  "$@" </dev/null >"$data/$name.log" 2>&1 {lock}>&- &
  names+=("$name")
  pids+=("$!")
}

# ready NAME URL: waits until it answers with success.
ready() {
  local name=$1 url=$2 began=$SECONDS i
  for i in "${!names[@]}"; do [[ ${names[i]} != "$name" ]] || break; done
  until curl -fsS --max-time 2 -o "$data/ready" "$url" 2>/dev/null; do
    if ! kill -0 "${pids[i]}" 2>/dev/null || ((SECONDS - began >= ready_limit)); then
      tail -n 25 "$data/$name.log" >&2
      die "$name does not get ready; its log is $data/$name.log"
    fi
    sleep 0.1
  done
}

role() {
  local name=$1 admin=admin_$1
  start "$name" env JIXINDA__ADMIN__LISTEN="127.0.0.1:${!admin}" "$program" "$name"
}

role_ready() {
  local admin=admin_$1
  ready "$1" "http://127.0.0.1:${!admin}/readyz"
}

# shellcheck disable=SC2154 # the ports are set by free_port
settings() {
  cat <<END
[kafka]
brokers = "127.0.0.1:$JIXINDA_KAFKA_PORT"
partitions = ${PARTITIONS:-6}
[telemetry]
filter = "warn"
[secrets]
platform_key = "$("$program" key generate)"
[admin]
peers = ["127.0.0.1:$admin_ingest", "127.0.0.1:$admin_router", "127.0.0.1:$admin_senders", "127.0.0.1:$admin_analytics"]
[ingest]
listen = "127.0.0.1:$ingest"
status_token = "$token"
[senders]
listen = "127.0.0.1:$receipts"
[analytics]
listen = "127.0.0.1:$reads"
token = "$token"
url = "http://127.0.0.1:$engine"
password = "$token"
[engine]
library = "$library"
data_dir = "$data/clickhouse"
listen = "127.0.0.1:$engine"
ingest_password = "$token"
read_password = "$(hex)"
END
}

# One app without a limit, three equal channels, one template for each lane.
# shellcheck disable=SC2154 # as above
directory() {
  local c
  cat <<END
[[apps]]
id = "bench"
name = "Bench"
direct = "signed"
[[apps.credentials]]
key_id = "bench-1"
secret = { env = "JIXINDA_BENCH_SECRET" }
[[signatures]]
id = "jixinda"
text = "集信达"
[signatures.channels]
aliyun-a = { approved = true }
aliyun-b = { approved = true }
aliyun-c = { approved = true }
END
  template otp SMS_1 "您的验证码为{code}，{minutes}分钟内有效，请勿告知他人。" code minutes
  template notice SMS_2 "{name}您好，订单{order}已发货，预计{day}送达。" name order day
  template marketing SMS_3 "{name}，本店周年庆全场{discount}折，拒收请回复R。" name discount
  for c in a b c; do
    cat <<END
[[channels]]
id = "aliyun-$c"
vendor = "aliyun"
name = "Lab $c"
prefixes = ["+86"]
rate_per_second = 5000
max_in_flight = ${IN_FLIGHT:-500}
settings = { max_numbers = "${MAX_NUMBERS:-1}" }
prices = [{ prefix = "+86", micros = 45000 }]
endpoint = "http://127.0.0.1:$lab"
secrets = { access_key_id = "lab-$c", access_key_secret = { env = "JIXINDA_BENCH_SECRET" } }
receipt_token = { env = "JIXINDA_BENCH_SECRET" }
receipt_ip_allow = ["127.0.0.0/8"]
END
  done
}

template() {
  local id=$1 code=$2 body=$3 name c variables=""
  shift 3
  for name in "$@"; do variables+="{ name = \"$name\", max_length = 32 }, "; done
  cat <<END
[[templates]]
id = "$id"
app = "bench"
lane = "$id"
body = "$body"
signature = "jixinda"
variables = [${variables%, }]
[templates.channels]
END
  for c in a b c; do echo "aliyun-$c = { code = \"$code\", approved = true, form = { kind = \"named\" } }"; done
}

# Answers after 5 ms unless told otherwise, receipts after 1 s (none where messages are to stay open), nothing goes wrong, no limit.
lab_settings() {
  local c
  echo "listen = \"127.0.0.1:$lab\""
  echo "journal = \"$data/journal.jsonl\""
  for c in a b c; do
    cat <<END
[[accounts]]
id = "aliyun-$c"
access_key_id = "lab-$c"
secrets = ["$JIXINDA_BENCH_SECRET"]
sign_names = ["集信达"]
receipt_url = "http://127.0.0.1:$receipts/receipts/aliyun-$c/$JIXINDA_BENCH_SECRET"
[accounts.templates]
SMS_1 = { variables = ["code", "minutes"] }
SMS_2 = { variables = ["name", "order", "day"] }
SMS_3 = { variables = ["name", "discount"] }
[accounts.behaviour]
latency = { mean = "${LATENCY:-5ms}" }
receipt_delay = { mean = "1s" }
receipt_loss = $([[ $mode == takeover ]] && echo 1.0 || echo 0.0)
magic_numbers = false
END
  done
}

# resident PID: KiB.
resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }

# metric PORT NAME: over all labels; nothing while there is none.
metric() {
  curl -fsS --max-time 10 "http://127.0.0.1:$1/metrics" |
    awk -v name="$2" '$1 == name || index($1, name "{") == 1 { s += $2; n = 1 } END { if (n) printf "%d\n", s }'
}

# wait_for PORT NAME LEAST: until a metric has come so far, at most ten minutes.
wait_for() {
  local began=$SECONDS value
  until value=$(metric "$1" "$2") && ((${value:-0} >= $3)); do
    ((SECONDS - began < 600)) || die "$2 stays at ${value:-nothing}, not $3"
    sleep 0.5
  done
}

mkdir -p "$data"
exec {lock}>"$data.lock"
flock --nonblock "$lock" || die "another bench uses $data; wait for it, or set JIXINDA_DATA"

program=${JIXINDA_BENCH_PROGRAM-}
if [[ -z $program ]]; then
  (cd "$root" && nice cargo build --release --package jixinda --bin jixinda) || die "the program does not build"
  program=${CARGO_TARGET_DIR:-$root/target}/release/jixinda
fi
library=$("$root/deploy/local/libchdb.sh" fetch) || die "the ClickHouse engine library cannot be had"

kafka stop >/dev/null
rm -rf "$data"
mkdir -p "$data"
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for name in JIXINDA_KAFKA_PORT JIXINDA_KAFKA_CONTROLLER_PORT ingest receipts reads engine lab \
  admin_ingest admin_router admin_successor admin_senders admin_analytics; do
  free_port "$name"
done
export JIXINDA_KAFKA_PORT JIXINDA_KAFKA_CONTROLLER_PORT
# Neither a file nor variables of the caller have a say.
for name in "${!JIXINDA__@}"; do unset "$name"; done
export JIXINDA_CONFIG=$data/jixinda.toml JIXINDA_BENCH_SECRET
JIXINDA_BENCH_SECRET=$(hex)
token=$(hex)
umask 077
settings >"$data/jixinda.toml"
directory >"$data/directory.toml"
lab_settings >"$data/lab.toml"

kafka start {lock}>&- >&2 || die "the broker does not start"
"$program" topics apply >"$data/apply.log"
"$program" directory apply "$data/directory.toml" >>"$data/apply.log"

watched=(--process "kafka=$(cat "$data/kafka/pid")")
watch_started() {
  local i
  for i in "${!names[@]}"; do watched+=(--process "${names[i]}=${pids[i]}"); done
}

note "$(nproc) cores, load before: $(cut -d' ' -f1-3 /proc/loadavg)"
bench=("$program" bench "$mode" --url "http://127.0.0.1:$ingest")
warm_up() {
  [[ ${WARM_UP:=20} != 0 ]] || return 0
  "${bench[@]}" --seconds "$WARM_UP" "$@" >"$data/warm-up.log" 2>&1 || note "the warm-up was not good, see warm-up.log"
}

case $mode in
  accept)
    role ingest
    role_ready ingest
    watch_started
    warm_up
    if [[ " $*" == *" --connections"* ]]; then
      "${bench[@]}" "${watched[@]}" "$@"
    else
      "${bench[@]}" "${watched[@]}" --connections 64 "$@"
      "${bench[@]}" "${watched[@]}" --connections 256 "$@"
    fi
    ;;
  e2e)
    start engine "$program" engine
    start lab "$program" --config "$data/lab.toml" lab serve
    ready engine "http://127.0.0.1:$engine/ping"
    ready lab "http://127.0.0.1:$lab/lab/stats"
    for name in analytics router senders ingest; do role "$name"; done
    for name in analytics router senders ingest; do role_ready "$name"; done
    watch_started
    bench+=(--lab "127.0.0.1:$lab" --journal "$data/journal.jsonl")
    warm_up --rate 1000
    "${bench[@]}" "${watched[@]}" "$@"
    ;;
  takeover)
    messages=${1:-200000} rate=2500
    start lab "$program" --config "$data/lab.toml" lab serve
    ready lab "http://127.0.0.1:$lab/lab/stats"
    for name in router senders ingest; do role "$name"; done
    for name in router senders ingest; do role_ready "$name"; done
    pid=${pids[1]}
    before=$(resident "$pid")
    "${bench[@]::2}" accept "${bench[@]:3}" --rate "$rate" --seconds $(((messages + rate - 1) / rate)) >&2
    # Each message, and some blocks of ids.
    wait_for "$admin_router" jixinda_router_parked_works "$messages"
    open=$(metric "$admin_router" jixinda_router_open_messages)
    after=$(resident "$pid")
    echo "open messages: $open, all kept in state ($(du -sm "$data"/kafka/log/*state-* | awk '{ s += $1 } END { print s }') MiB on disk)"
    echo "router: $((before / 1024)) MiB before, $((after / 1024)) MiB with them: $(((after - before) * 1024 / open)) bytes each, with its id"
    kill -KILL "$pid"
    killed=$(date +%s%N)
    start successor env JIXINDA__ADMIN__LISTEN="127.0.0.1:$admin_successor" JIXINDA__KAFKA__INSTANCE=successor \
      JIXINDA__TELEMETRY__FILTER=info "$program" router
    role_ready successor
    ms=$((($(date +%s%N) - killed) / 1000000))
    wait_for "$admin_successor" jixinda_router_open_messages "$open"
    echo "acting again $ms ms after the kill, of which the session timeout is 10000 ms"
    ;;
esac
