#!/usr/bin/env bash
# Measures every goal and writes what was found into a folder: goals.json, goals.txt and the plots.
#
#     tests/bench.sh FOLDER [flags of `gavah bench compare`]
#
# Builds the program as it is delivered, and starts a PostgreSQL cluster of its own in a temporary folder, with fsync as
# ever. Everything that is started ends with this script, however that ends: the cluster lives as long as a pipe that only
# this script holds open, the servers under load are children of the bench.
set -euo pipefail
cd "$(dirname "$0")/.."

if (($# < 1)); then
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mkdir -p "$1"
results=$(cd "$1" && pwd)
shift

profile=release
if grep -q '^\[profile\.dist\]' Cargo.toml; then profile=dist; fi
bash tests/setup.sh
cargo build --profile "$profile" --workspace --bin gavah --locked
gavah=$(realpath "${CARGO_TARGET_DIR:-target}")/$profile/gavah

work=$(mktemp -d "${TMPDIR:-/tmp}/gavah-bench-sh.XXXXXX")
watchdog=
end() {
  trap - EXIT
  # Closing the pipe ends the cluster; its watchdog is done when everything of it is gone.
  exec 3>&-
  if [[ -n $watchdog ]]; then wait "$watchdog" || true; fi
  rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

bin=
for folder in ${GAVAH_PG_BIN:+"$GAVAH_PG_BIN"} $(printf '%s\n' /usr/lib/postgresql/*/bin | sort --version-sort --reverse); do
  if [[ -z $bin && -x $folder/initdb && -x $folder/pgbench ]]; then bin=$folder; fi
done
if [[ -z $bin ]]; then
  echo "PostgreSQL's programs, initdb and pgbench among them, are not there; GAVAH_PG_BIN may name their folder" >&2
  exit 1
fi
PATH=$bin:$PATH

# Durability as it comes; memory and log as one would give a server of this size.
configuration="listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = '1GB'
max_wal_size = '4GB'
log_error_verbosity = terse"
GAVAH_PG_PASSWORD=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export GAVAH_PG_PASSWORD
mkfifo "$work/hold"
: >"$work/ready"
ports=()
for _ in 1 2 3 4 5; do ports+=($((20000 + RANDOM % 20000))); done
sh -c "$(cat crates/testkit/src/postgres/watchdog.sh)" gavah-pg-watchdog "$bin" "$configuration" "${ports[@]}" \
  <"$work/hold" >"$work/ready" &
watchdog=$!
exec 3>"$work/hold"
for ((i = 0; i < 900; i++)); do
  if [[ -s $work/ready ]]; then break; fi
  if ! kill -0 "$watchdog" 2>/dev/null; then break; fi
  sleep 0.1
done
read -r word port _ <"$work/ready" || true
if [[ ${word:-} != ready ]]; then
  echo "the PostgreSQL cluster did not start" >&2
  exit 1
fi

export PGPASSWORD=$GAVAH_PG_PASSWORD
psql --quiet --no-psqlrc --host=127.0.0.1 --port="$port" --username=postgres --dbname=postgres --set=ON_ERROR_STOP=1 <<SQL
CREATE ROLE bench LOGIN PASSWORD '$GAVAH_PG_PASSWORD';
CREATE DATABASE bench OWNER bench;
SQL
(umask 077 && echo "postgres://bench:$GAVAH_PG_PASSWORD@127.0.0.1:$port/bench" >"$work/database.url")

{
  uname -srm
  nproc | sed 's/$/ processors/'
  sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1
  "$bin/postgres" --version
  "$gavah" --version
  git rev-parse HEAD 2>/dev/null || true
  echo "profile $profile"
} >"$results/machine.txt"

# In the background and waited for, so that a signal is heard at once and passed on. It must not hold the pipe open.
"$gavah" --output json bench compare --database-url-file "$work/database.url" --plots "$results" "$@" \
  >"$results/goals.json" 3>&- &
bench=$!
trap 'kill -s TERM "$bench" 2>/dev/null; wait "$bench" || true; exit 130' INT TERM
wait "$bench"
"$gavah" bench show "$results/goals.json" | tee "$results/goals.txt"
