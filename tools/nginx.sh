#!/bin/sh
# Sees to it that there is an nginx for the test of docs/nginx.conf: the system's, else Debian's package.
set -eu

PATH="$PATH:/usr/sbin:/usr/local/sbin"
if command -v nginx >/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing nginx"
    apt-get update -qq
    if DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light >/dev/null; then exit 0; fi
fi
echo "The test of docs/nginx.conf needs nginx. Install it first: sudo apt-get install nginx-light" >&2
exit 1
