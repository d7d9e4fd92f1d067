#!/bin/sh
# Installs Debian packages where that needs nobody's answer: as root, or by a sudo that asks for no password.
set -eu

command -v apt-get >/dev/null || exit 1
as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || exit 1
    as_root="sudo -n"
fi
echo "Installing $*"
$as_root apt-get update -qq || true # one list of many that could not be fetched is no reason to stop
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
