#!/bin/sh
# Sees to it that there is a Chromium for the browser tests: the system's, else Debian's package, else Playwright's.
set -eu

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if tools/debian.sh chromium fonts-liberation; then exit 0; fi
if .venv/bin/python -m playwright install chromium; then exit 0; fi
echo "The browser tests need Chromium. Install it first: sudo apt-get install chromium" >&2
exit 1
