#!/usr/bin/env bash
# `make run`: builds, starts Kafka and shows the whole platform at work. Arguments go to `jixinda demo`.
#   JIXINDA_DATA   where data and logs go   (<clone>/.local)
# Settings of the platform may be given as JIXINDA__SECTION__KEY.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export JIXINDA_DATA=${JIXINDA_DATA:-$PWD/.local}

deploy/local/prerequisites.sh
deploy/local/libchdb.sh fetch >/dev/null
# A broker that ran before goes on running.
deploy/local/kafka.sh status >/dev/null || trap 'deploy/local/kafka.sh stop' EXIT
deploy/local/kafka.sh start

cargo build
secrets=$(deploy/demo/secrets.sh)
# What the caller set beats the file.
given=$(export -p | grep ' JIXINDA__' || true)
set -a
# shellcheck source=/dev/null
source "$secrets"
eval "$given"
set +a

# In the background, so that a signal to this script alone reaches it too.
"${CARGO_TARGET_DIR:-target}/debug/jixinda" demo "$@" &
demo=$!
trap 'kill -TERM $demo 2>/dev/null || true' INT TERM HUP
code=0
wait "$demo" || code=$?
while kill -0 "$demo" 2>/dev/null; do
  wait "$demo" || code=$?
done
exit "$code"
