#!/usr/bin/env bash
# Judges the contract as the build sees it, with buf.
#
#   tests/buf.sh          lints it, and refuses whatever breaks or merely differs from the accepted contract
#   tests/buf.sh accept   makes it the accepted contract: proto/contract.binpb, to be committed with the change
#
# Reads the descriptor set that build.rs leaves in the target folder; builds only when that is older than proto/.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
buf=$target/test-tools/bin/buf
image=$target/contract/descriptor_set.binpb
accepted=proto/contract.binpb
# What others wrote is not judged.
lint='{"version": "v2", "lint": {"use": ["STANDARD", "COMMENTS"], "ignore": ["google", "buf"]}}'
breaking='{"version": "v2", "breaking": {"use": ["FILE"], "ignore": ["google", "buf"]}}'

# The contract without comments, so that a better comment is no change of it.
write_contract() {
  "$buf" build "$image" --exclude-source-info --output "$1"
}

if [[ ! -x $buf ]]; then
  echo "buf.sh: buf is not there: run tests/setup.sh" >&2
  exit 1
fi
if [[ ! -e $image || -n $(find proto -name '*.proto' -newer "$image" -print -quit) ]]; then
  cargo check --workspace --quiet
fi

case ${1:-check} in
  check)
    "$buf" lint "$image" --config "$lint"
    if [[ ! -e $accepted ]]; then
      echo "buf.sh: there is no accepted contract: run 'tests/buf.sh accept' and commit $accepted" >&2
      exit 1
    fi
    "$buf" breaking "$image" --against "$accepted" --config "$breaking"
    # A message that was added but not accepted could be taken away again unnoticed.
    current=$(mktemp --suffix=.binpb)
    trap 'rm -f "$current"' EXIT
    write_contract "$current"
    if ! cmp --quiet "$current" "$accepted"; then
      echo "buf.sh: the contract changed (nothing breaks): run 'tests/buf.sh accept' and commit $accepted" >&2
      exit 1
    fi
    ;;
  accept)
    "$buf" lint "$image" --config "$lint"
    write_contract "$accepted"
    ;;
  *)
    echo "usage: tests/buf.sh [accept]" >&2
    exit 2
    ;;
esac
