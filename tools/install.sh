#!/bin/sh
# Makes .venv when there is none that works, and installs one locked set into it:  tools/install.sh requirements.txt
set -eu
python=${PYTHON:-python3}

fail() {
    echo "$1" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "There is no $python. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python …"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "The portal needs Python 3.11 or newer, and $python is $("$python" -V). Name another: make PYTHON=python3.12 …"

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "Making .venv"
    rm -rf .venv
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
        else
            fail "$python cannot make virtual environments here. Install them first: sudo apt-get install python3-venv"
        fi
    fi
    "$python" -m venv .venv
fi

echo "Installing what $1 locks"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar off --require-hashes --requirement "$1"
