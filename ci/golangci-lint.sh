#!/usr/bin/env bash
# Runs golangci-lint.
. "$(dirname "$0")/lib.sh"

folder=$(go_tool golangci-lint v2.15.0 github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
exec "$folder/golangci-lint" "$@"
