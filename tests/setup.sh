#!/usr/bin/env bash
# Makes this machine ready for tests/run.sh: PostgreSQL's server programs, a C compiler, Python, and the test tools in a
# virtual environment in the target folder. Says nothing and changes nothing when all is there.
#
# Debian packages are installed as root only; anybody else is told which ones are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${CARGO_TARGET_DIR:-target}/test-tools

# Runs a command; shows what it printed only when it fails.
quietly() {
  local output
  if ! output=$("$@" 2>&1 </dev/null); then
    printf '%s\n' "setup: failed: $*" "$output" >&2
    return 1
  fi
}

has_postgres() {
  local folder
  for folder in ${GAVAH_PG_BIN:+"$GAVAH_PG_BIN"} "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin; do
    if [[ -x $folder/initdb && -x $folder/postgres && -x $folder/psql ]]; then return 0; fi
  done
  return 1
}

install_packages() {
  local missing=()
  has_postgres || missing+=(postgresql-15)
  # For linking, and for the C sources in aws-lc-sys and libsqlite3-sys; they need neither cmake nor clang.
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  if ((${#missing[@]} == 0)); then return; fi

  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    echo "setup: these Debian packages (or their like) are missing: ${missing[*]}" >&2
    exit 1
  fi
  echo "setup: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get -o Acquire::Retries=3 update
  quietly apt-get -o Acquire::Retries=3 install --yes --no-install-recommends "${missing[@]}"
  if [[ " ${missing[*]} " == *' postgresql-15 '* ]]; then
    # Debian starts a cluster of its own with the package. The tests make theirs, and nobody asked for that one.
    pg_ctlcluster 15 main stop >/dev/null 2>&1 || true
  fi
}

install_tools() {
  local stamp
  stamp=$(python3 --version | cat - tests/requirements.txt | sha256sum)
  if [[ -x $tools/bin/python && $(cat "$tools/stamp" 2>/dev/null) == "$stamp" ]]; then return; fi

  echo "setup: installing the test tools in $tools"
  rm -rf "$tools"
  quietly python3 -m venv "$tools"
  quietly "$tools/bin/python" -m pip install --disable-pip-version-check --requirement tests/requirements.txt
  quietly "$tools/bin/buf" --version
  quietly "$tools/bin/grpcurl" --version
  # Written last: without it the next run starts over.
  printf '%s\n' "$stamp" >"$tools/stamp"
}

# A disk that fills up fails whatever test comes next, so it is told before. Measured with `du -sm` of the target folder and of
# the tests' clusters while they ran: a build from nothing takes 3.1 GiB, 6.7 with incremental data; the databases 0.1.
has_room() {
  local folder=${CARGO_TARGET_DIR:-target} need=8 room
  if [[ ${CARGO_INCREMENTAL:-1} == 0 ]]; then need=4; fi
  if [[ -d $folder/debug/deps ]]; then need=2; fi
  while [[ ! -d $folder ]]; do folder=$(dirname "$folder"); done
  room=$(($(df --output=avail -k "$folder" | tail -n 1) / 1024 / 1024))
  if ((room >= need)); then return; fi
  echo "setup: the disk of $(realpath "$folder") has $room GiB left; $need are needed" >&2
  exit 1
}

has_room
install_packages
install_tools
