#!/bin/sh
# Makes sure of the two programs that tests start by themselves: a PostgreSQL server and a headless Chromium.
# Nothing is left running: tests start a private PostgreSQL on a free port of 127.0.0.1 and end it.
set -eu

has_postgres() {
  command -v initdb > /dev/null || command -v pg_ctl > /dev/null || ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1
}

has_chromium() {
  command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null
}

missing=""
has_postgres || missing="$missing postgresql"
has_chromium || missing="$missing chromium"
[ -z "$missing" ] && exit 0

if ! command -v apt-get > /dev/null; then
  echo "tests need these programs, which this system's package manager has:$missing" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "tests need programs that are missing; install them with: sudo apt-get install$missing" >&2
  exit 1
fi

echo "installing for the tests:$missing"
# Debian's package would start a server of its own on port 5432; tests need its programs only.
case "$missing" in
  *postgresql*)
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] \
      || echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
    ;;
esac
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # a list of names
apt-get install -qq -y --no-install-recommends $missing > /dev/null
has_postgres && has_chromium
