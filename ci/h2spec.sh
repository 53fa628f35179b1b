#!/usr/bin/env bash
# Runs h2spec, a suite of some 145 tests of HTTP/2 servers, built on first use. Later releases are not to be had as modules.
. "$(dirname "$0")/lib.sh"

folder=$(go_tool h2spec v2.2.1+incompatible github.com/summerwind/h2spec/cmd/h2spec)
exec "$folder/h2spec" "$@"
