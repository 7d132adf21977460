#!/usr/bin/env bash
# One Apache Kafka node on the loopback interface, for development and tests.
#   JIXINDA_DATA                    where its files go               (<clone>/.local)
#   JIXINDA_CACHE                   where downloads are kept         (~/.cache/jixinda)
#   JIXINDA_KAFKA_PORT              port for clients                 (9092)
#   JIXINDA_KAFKA_CONTROLLER_PORT   port of the KRaft controller     (9093)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"

version=4.3.1
ready_limit=120
stop_limit=20
libs=$cache_dir/kafka-$version
data=$(realpath -m -- "${JIXINDA_DATA:-$here/../../.local}")/kafka
port=${JIXINDA_KAFKA_PORT:-9092}
controller_port=${JIXINDA_KAFKA_CONTROLLER_PORT:-9093}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
# On the command line of the broker; a pid from the pid file is ours only if it has this.
mark=-Djixinda.kafka.data=$data

download() {
  note "downloading Kafka $version from Maven Central (44 MB)"
  mvn --quiet --batch-mode --update-snapshots --strict-checksums -f "$here/kafka-pom.xml" \
    dependency:copy-dependencies -DoutputDirectory="$1" >"$1/mvn.log" 2>&1 || {
    cat "$1/mvn.log" >&2
    die "Maven cannot get Kafka $version"
  }
  rm "$1/mvn.log"
}

fetch() { fetch_once "$libs" download; }

is_ours() { grep -zFxq -- "$mark" "/proc/$1/cmdline" 2>/dev/null; }

# Prints the pid of our running broker.
running() {
  local pid
  pid=$(cat "$data/pid" 2>/dev/null) && [[ $pid =~ ^[0-9]+$ ]] && is_ours "$pid" && echo "$pid"
}

port_of_running() { sed -n 's/^advertised\.listeners=.*://p' "$data/server.properties"; }

# True when an ApiVersions request gets its answer.
answers() {
  # shellcheck disable=SC2016 # $0 is for the inner shell
  [[ $(timeout 2 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$0"
    printf "\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff" >&3
    head -c 10 <&3 | od -An -tx1 -j 4' "$1" 2>/dev/null) == " 00 00 00 01 00 00" ]]
}

check_port_free() {
  local name=$1 wanted=$2 listener pid who="a process that only root or its owner can see"
  if ! [[ $wanted =~ ^[1-9][0-9]{0,4}$ ]] || ((wanted > 65535)); then
    die "$name: '$wanted' is not a port"
  fi
  listener=$(ss -H -ltnp "sport = :$wanted" | awk '$4 ~ /^(127\.0\.0\.1|0\.0\.0\.0|\*|\[::\]|\[::ffff:127\.0\.0\.1\]):/')
  [[ -n $listener ]] || return 0
  if [[ $listener =~ pid=([0-9]+) ]]; then
    pid=${BASH_REMATCH[1]}
    who="$(cat "/proc/$pid/comm" 2>/dev/null) (pid $pid)"
    if grep -zq -- ^-Djixinda.kafka.data= "/proc/$pid/cmdline" 2>/dev/null; then
      who="the broker of $(grep -z -- ^-Djixinda.kafka.data= "/proc/$pid/cmdline" | tr -d '\0' | cut -d= -f2-) (pid $pid)"
    fi
  fi
  die "port $wanted is taken by $who; stop it or set $name"
}

format_storage() {
  [[ ! -d $data/log ]] || return 0
  # Formatted aside and renamed: a half-formatted directory can neither be used nor formatted again.
  rm -rf "$data/format"
  mkdir "$data/format"
  sed 's/^log\.dirs=.*/log.dirs=format/' "$data/server.properties" >"$data/format.properties"
  (
    cd "$data"
    id=$("$java" -cp "$libs/*" -Dlog4j2.level=OFF kafka.tools.StorageTool random-uuid)
    "$java" -cp "$libs/*" -Dlog4j2.level=OFF kafka.tools.StorageTool \
      format --cluster-id "$id" --config format.properties
  ) >"$data/format.out" 2>&1 || {
    cat "$data/format.out" >&2
    die "cannot format $data/log"
  }
  mv -T "$data/format" "$data/log"
  rm "$data/format.properties" "$data/format.out"
}

# Starts the broker in a session of its own, with none of our open files.
launch() {
  (
    for fd in /proc/"$BASHPID"/fd/*; do
      fd=${fd##*/}
      ((fd <= 2)) || exec {fd}>&-
    done
    cd "$data"
    echo "$BASHPID" >pid
    # On a machine that it shares, a collector without threads of its own costs the least.
    exec setsid "$java" -Xmx512m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
      -Dlog4j2.configurationFile=log4j2.properties "$mark" -cp "$libs/*" kafka.Kafka server.properties
  ) </dev/null >"$data/server.out" 2>&1 &
  until is_ours $!; do
    kill -0 $! 2>/dev/null || return 0
    sleep 0.05
  done
}

wait_ready() {
  local began=$SECONDS
  until answers "$1"; do
    if ! running >/dev/null; then
      show_log
      die "the broker ended; its log is $data/server.log"
    fi
    if ((SECONDS - began >= ready_limit)); then
      show_log
      die "no answer on port $1 after $ready_limit s; \`start\` again goes on waiting, \`stop\` gives up"
    fi
    sleep 0.1
  done
}

show_log() { tail -n 25 "$data/server.log" "$data/server.out" >&2 || true; }

start() {
  local pid actual
  if pid=$(running); then
    actual=$(port_of_running)
    [[ $actual == "$port" ]] || die "already running (pid $pid) on port $actual, not $port; stop it first"
    wait_ready "$port"
    echo "kafka: already running, 127.0.0.1:$port, pid $pid"
    return
  fi
  check_port_free JIXINDA_KAFKA_PORT "$port"
  check_port_free JIXINDA_KAFKA_CONTROLLER_PORT "$controller_port"
  [[ $port != "$controller_port" ]] || die "JIXINDA_KAFKA_PORT and JIXINDA_KAFKA_CONTROLLER_PORT are both $port"
  fetch
  cp "$here/kafka-log4j2.properties" "$data/log4j2.properties"
  {
    cat "$here/kafka.properties"
    echo
    echo "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port"
    echo "advertised.listeners=PLAINTEXT://127.0.0.1:$port"
    echo "controller.quorum.voters=1@127.0.0.1:$controller_port"
  } >"$data/server.properties"
  format_storage
  launch
  wait_ready "$port"
  echo "kafka: started, 127.0.0.1:$port, pid $(running), data in $data"
}

gone_within() {
  local pid=$1 limit=$2 began=$SECONDS
  while is_ours "$pid"; do
    ((SECONDS - began < limit)) || return 1
    sleep 0.1
  done
}

stop() {
  local pid
  if ! pid=$(running); then
    rm -f "$data/pid"
    echo "kafka: not running"
    return
  fi
  kill -TERM "$pid" 2>/dev/null || true
  if ! gone_within "$pid" "$stop_limit"; then
    note "pid $pid is still there after $stop_limit s: killing it"
    kill -KILL "$pid" 2>/dev/null || true
    gone_within "$pid" 5 || die "pid $pid does not end"
  fi
  rm -f "$data/pid"
  echo "kafka: stopped"
}

status() {
  local pid actual
  if ! pid=$(running); then
    echo "kafka: not running, data in $data"
    exit 3
  fi
  actual=$(port_of_running)
  if ! answers "$actual"; then
    echo "kafka: pid $pid does not answer on 127.0.0.1:$actual; its log is $data/server.log"
    exit 1
  fi
  echo "kafka: running, 127.0.0.1:$actual, pid $pid, $(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$pid/status") MB, data in $data"
}

# Non-ASCII paths reach Java whole only in a UTF-8 locale.
export LC_ALL=C.UTF-8

case ${1-} in
  fetch)
    fetch
    ;;
  status)
    status
    ;;
  start | stop | restart)
    mkdir -p "$data"
    exec {lock}>"$data/lock"
    flock --wait 180 "$lock" || die "another start or stop is still under way in $data"
    if [[ $1 == restart ]]; then
      stop
      start
    else
      "$1"
    fi
    ;;
  *)
    die "usage: kafka.sh fetch|start|stop|restart|status"
    ;;
esac
