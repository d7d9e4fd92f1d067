#!/bin/sh
# Sees to it that there is an nginx for the test of docs/nginx.conf: the system's, else Debian's package.
set -eu

PATH="$PATH:/usr/sbin:/usr/local/sbin"
if command -v nginx >/dev/null; then exit 0; fi
if tools/debian.sh nginx-light; then exit 0; fi
echo "The test of docs/nginx.conf needs nginx. Install it first: sudo apt-get install nginx-light" >&2
exit 1
