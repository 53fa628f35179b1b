#!/usr/bin/env bash
# Builds bin/backline: static, the same bytes wherever the folder lies. OUTPUT names another file (ci/cross.sh).
. "$(dirname "$0")/lib.sh"

# One line of the Python package is the version of both halves.
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' python/backline/__init__.py)
[ -n "$version" ] || fail 'python/backline/__init__.py has no line __version__ = "..."'
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$version -X main.commit=$commit" \
  -o "${OUTPUT:-bin/backline}" ./cmd/backline
