#!/usr/bin/env bash
# Removes what the demo has stored: Kafka, ClickHouse, the lab's journal, logs and secrets. Downloads stay.
#   JIXINDA_DATA   where they are   (<clone>/.local)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../local/lib.sh
source "$here/../local/lib.sh"
data=$(realpath -m -- "${JIXINDA_DATA:-$here/../../.local}")

lock=$data/clickhouse/jixinda.lock
if [[ -e $lock ]] && ! flock --nonblock "$lock" true; then
  die "the ClickHouse engine of $data is running; stop the demo first"
fi
"$here/../local/kafka.sh" stop
rm -rf "$data/kafka" "$data/clickhouse" "$data/lab-journal.jsonl" "$data"/{run,lab}.log "$data/demo.env"
