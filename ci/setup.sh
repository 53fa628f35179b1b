#!/usr/bin/env bash
# Prepares what the tests need: .venv with python/requirements-test.txt, the same in .venvs/3.x for every other
# interpreter that is installed, the linter, Pebble for the tests of certificates, the Autobahn test suite for those of
# WebSockets, and wrk for those under load. What is there already stays.
. "$(dirname "$0")/lib.sh"

command -v go >/dev/null || fail "no Go found; install any version since 1.21, it fetches the one that go.mod names"

# make_venv INTERPRETER FOLDER
make_venv() {
  local python=$1 folder=$2 wanted
  wanted=$({ "$python" -VV && cat python/requirements-test.txt; } | cksum)
  [ "$(cat "$folder/.wanted" 2>/dev/null || true)" = "$wanted" ] && return
  echo "$folder: $("$python" -V), installing python/requirements-test.txt"
  rm -rf "$folder"
  if ! "$python" -m venv "$folder" >build/logs/venv.log 2>&1; then
    rm -rf "$folder"
    install_package python3-venv # Debian ships Python without it
    "$python" -m venv "$folder" || fail "$python cannot make a virtual environment"
  fi
  # --only-binary would shut out machines for which a package has no wheel, so pip may build.
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r python/requirements-test.txt
  printf '%s' "$wanted" >"$folder/.wanted"
}

# install_package NAME: from Debian, where that can be done without a question.
install_package() {
  local as=
  [ "$(id -u)" = 0 ] || { in_ci && as="sudo -n"; } || return 0
  command -v apt-get >/dev/null || return 0
  echo "installing $1"
  # $as is meant to be split.
  # RUNLEVEL keeps what is a service from being started; systemd starts it all the same, on ports that no test uses.
  { $as apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $as apt-get install -y -qq --no-install-recommends "$1"; } \
    >build/logs/apt.log 2>&1 || echo "could not be installed, see build/logs/apt.log"
}

# want_command NAME REASON
want_command() {
  command -v "$1" >/dev/null && return
  install_package "$1"
  command -v "$1" >/dev/null && return
  in_ci && fail "$1 is absent and could not be installed: $2"
  echo "$1 is absent: $2"
}

ci/golangci-lint.sh --version >build/logs/golangci-lint.log 2>&1 &
linter=$!
ci/pebble.sh >build/logs/pebble.log 2>&1 &
pebble=$!
ci/nats.sh >build/logs/nats.log 2>&1 &
nats=$!
ci/autobahn.sh --autobahnversion >build/logs/autobahn.log 2>&1 &
autobahn=$!

main=$(find_python)
make_venv "$main" .venv
own=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
find_pythons | while read -r python; do
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  [ "$version" = "$own" ] || make_venv "$python" ".venvs/$version"
done

want_command chromium "the tour is not looked at in a browser without it"
want_command wrk "tests under load are left out without it"
want_command openssl "a test of TLS needs its client"
want_command nginx "tests behind it are left out without it"
want_command haproxy "tests behind it are left out without it"
for database in postgresql mariadb-server redis-server; do
  case $database in
    postgresql) found=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' || command -v initdb || true) ;; # not in PATH on Debian
    mariadb-server) found=$(command -v mariadbd || true) ;;
    *) found=$(command -v redis-server || true) ;;
  esac
  [ -n "$found" ] || install_package "$database"
done
want_command pushpin "GRIP is not compared with its own proxy without it"
want_command slowhttptest "tests against slow clients are left out without it"

status=0
wait "$autobahn" || status=$?
case $status in
  0) ;;
  "$SKIPPED") tail -n 1 build/logs/autobahn.log ;;
  *) fail "the Autobahn test suite could not be installed: $(tail -n 5 build/logs/autobahn.log)" ;;
esac
wait "$pebble" || fail "Pebble could not be built: $(tail -n 5 build/logs/pebble.log)"
wait "$nats" || fail "nats-server could not be built: $(tail -n 5 build/logs/nats.log)"
wait "$linter" || fail "golangci-lint could not be built: $(tail -n 5 build/logs/golangci-lint.log)"
