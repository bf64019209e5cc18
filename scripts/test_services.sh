#!/bin/sh
# Makes sure of the programs that tests start by themselves: a PostgreSQL server, a headless Chromium, nginx.
# Nothing is left running: tests start each on free ports of 127.0.0.1 and end it.
exec "$(dirname "$0")/programs.sh" postgresql chromium nginx openssl
