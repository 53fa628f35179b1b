#!/usr/bin/env bash
# Builds nats-server, which the tests of a bus run, in the version whose package is in go.mod, and prints the folder
# that it is in.
. "$(dirname "$0")/lib.sh"

version=$(sed -n 's|^\tgithub.com/nats-io/nats-server/v2 ||p' go.mod)
[ -n "$version" ] || fail "go.mod has no line for github.com/nats-io/nats-server/v2"
go_tool nats-server "$version" github.com/nats-io/nats-server/v2
