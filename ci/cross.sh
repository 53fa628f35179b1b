#!/usr/bin/env bash
# Builds for the other platforms, and type-checks the tests there too.
. "$(dirname "$0")/lib.sh"

for target in linux/arm64 darwin/arm64; do
  export GOOS=${target%/*} GOARCH=${target#*/}
  echo "$target"
  OUTPUT="build/cross/backline-$GOOS-$GOARCH" ci/build.sh
  CGO_ENABLED=0 go vet ./...
done
