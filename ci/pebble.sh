#!/usr/bin/env bash
# Builds Pebble, the ACME authority that the tests obtain certificates from, and the name server that goes with it, and
# prints the folder that they are in.
. "$(dirname "$0")/lib.sh"

pebble=github.com/letsencrypt/pebble/v2/cmd
go_tool pebble v2.10.1 "$pebble/pebble" "$pebble/pebble-challtestsrv"
