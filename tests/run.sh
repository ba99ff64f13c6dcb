#!/usr/bin/env bash
# All checks and all tests, in the order in which they fail fastest. The one command to run before a change is handed in.
set -euo pipefail
cd "$(dirname "$0")/.."

# What a failed test says matters here, not where in the libraries it said so.
export RUST_BACKTRACE=0

current=
trap '[[ -z $current ]] || echo "== $current: FAILED" >&2' EXIT

# stage NAME COMMAND…: runs the command and prints the name and the seconds it took.
stage() {
  current=$1
  shift
  local start=$SECONDS
  echo "== $current"
  "$@"
  echo "== $current: $((SECONDS - start)) s"
  current=
}

stage 'setup' bash tests/setup.sh
stage 'format' cargo fmt --all --check
stage 'clippy' cargo clippy --workspace --all-targets --locked -- -D warnings
stage 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
stage 'contract' bash tests/buf.sh
# Not nextest: one PostgreSQL cluster serves all tests of one process, and nextest runs a process for each.
stage 'tests' cargo test --workspace --locked
