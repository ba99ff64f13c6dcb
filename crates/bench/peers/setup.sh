#!/usr/bin/env bash
# Installs what the peers need into a folder: setup.sh FOLDER. Does nothing when all is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
proto=$(cd "$here/../../../proto" && pwd)
mkdir -p "$1"
cd "$1"

stamp=$(cat "$here"/{package.json,requirements.txt,*.mjs,*.py} "$proto"/gavah/v1/*.proto | sha256sum)
if [[ $(cat stamp 2>/dev/null) == "$stamp" ]]; then exit; fi
rm -f stamp
cp "$here"/{package.json,*.mjs,*.py} .
npm install --no-audit --no-fund --loglevel=error >&2
if [[ ! -x venv/bin/python ]]; then python3 -m venv venv; fi
venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
rm -rf generated
mkdir generated
# Message classes of what ValidateCode imports, and no more.
venv/bin/python -m grpc_tools.protoc --proto_path="$proto" --python_out=generated --grpc_python_out=generated \
  gavah/v1/{validation_service,validity_code_service,types}.proto buf/validate/validate.proto
# Written last: without it the next run starts over.
printf '%s\n' "$stamp" >stamp
