#!/usr/bin/env bash
# Runs golangci-lint, built on first use (a minute or two) into .tools. Built here and not downloaded, because the linter
# must be compiled by a Go at least as new as the code it reads.
. "$(dirname "$0")/lib.sh"

version=v2.15.0
toolchain=$(sed -n 's/^toolchain //p' go.mod)
folder="$PWD/.tools/golangci-lint-$version-$toolchain"
if [ ! -x "$folder/golangci-lint" ]; then
  echo "building golangci-lint $version" >&2
  GOTOOLCHAIN=$toolchain GOBIN=$folder CGO_ENABLED=0 GOFLAGS='' \
    go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
fi
exec "$folder/golangci-lint" "$@"
