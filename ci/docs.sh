#!/usr/bin/env bash
# Writes the generated pages of docs/ anew. The Go tests compare them with the code, so forgetting this fails there.
. "$(dirname "$0")/lib.sh"

exec go generate ./...
