#!/usr/bin/env bash
# Kills, stops and restarts everything under load, compares every message by id, and prints the run as Markdown.
# Exit code 0 only if nothing is wrong. `docs/reliability.md` says what it shows.
#   SEED      what the plan follows from: the same seed, the same plan          (random; printed)
#   KILLS     random kill -9; each 250 on a platform of their own, with the next seed   (500)
#   RATE      messages offered a second; at least RATE / 1.1 must be accepted   (550)
#   STOP      seconds for which a process stands still, at a point or anywhere  (30)
#   JIXINDA_CHAOS_SKIP_FULL_DISK=1   without the part that mounts a small file system, for which it takes root
#   JIXINDA_DATA                     where the data go, in chaos/               (<clone>/.local)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../local/lib.sh
source "$root/deploy/local/lib.sh"

data=$(realpath -m -- "${JIXINDA_DATA:-$root/.local}")/chaos
mkdir -p "$data"
report=$data/report.md
rm -f "$report"
export JIXINDA_DATA=$data JIXINDA_CHAOS_REPORT=$report
export JIXINDA_CHAOS_SEED=${SEED:-$((RANDOM * 32768 + RANDOM))} JIXINDA_CHAOS_KILLS=${KILLS-}
export JIXINDA_CHAOS_RATE=${RATE-} JIXINDA_CHAOS_STOP=${STOP-}

"$root/deploy/local/prerequisites.sh"
note "seed $JIXINDA_CHAOS_SEED; the log of the run is $data/run.log"
code=0
"$root/deploy/local/test-stack.sh" run -- cargo test --workspace --test e2e -- \
  --ignored --nocapture --test-threads=1 chaos:: >"$data/run.log" 2>&1 || code=$?
if [[ -s $report ]]; then
  cat "$report"
fi
if ((code)); then
  grep -E '^(chaos:|test |thread )|panicked|seed' "$data/run.log" | tail -n 40 >&2
  note "FAILED with seed $JIXINDA_CHAOS_SEED; again: SEED=$JIXINDA_CHAOS_SEED ${KILLS:+KILLS=$KILLS }make chaos"
fi
exit "$code"
