#!/usr/bin/env bash
# Runs wstest of the Autobahn test suite, installed on first use (a minute) into .tools. It exists for Python 2.7 alone.
# Ends with 77 where there is none; CI has one, and fails without.
. "$(dirname "$0")/lib.sh"

# find_python2 prints a Python 2.7 that runs: a pyenv shim can exist and still refuse to.
find_python2() {
  local candidate
  for candidate in python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
    if "$candidate" -c 'import ssl, zlib' >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

python=$(find_python2) ||
  absent "the Autobahn test suite needs a Python 2.7, and there is none: pyenv install 2.7.18 brings one"

wanted=$({ "$python" -V 2>&1 && cat conformance/autobahn.txt; } | cksum | tr ' ' '-')
folder=$PWD/.tools/autobahn-$wanted
if [ ! -d "$folder" ]; then
  echo "installing the Autobahn test suite" >&2
  rm -rf "$folder.part"
  # Into a plain folder, as no virtualenv of today makes an environment for 2.7.
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder.part" \
    -r conformance/autobahn.txt >&2
  # zope.interface finds its parent by a .pth file, which is only read in site-packages.
  touch "$folder.part/zope/__init__.py"
  mv "$folder.part" "$folder"
fi
PYTHONPATH=$folder exec "$python" "$folder/bin/wstest" "$@"
