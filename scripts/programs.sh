#!/bin/sh
# Makes sure of programs that are no Python packages: programs.sh postgresql chromium nginx
# On Debian, as root, it installs what is missing; elsewhere it says what to install. It starts nothing.
set -eu

has() {
  case "$1" in
    postgresql) command -v initdb > /dev/null || ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 ;;
    chromium) command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null ;;
    nginx) command -v nginx > /dev/null || [ -x /usr/sbin/nginx ] ;;
    *) command -v "$1" > /dev/null ;;
  esac
}

missing=""
for name in "$@"; do
  has "$name" || missing="$missing $name"
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get > /dev/null; then
  echo "these programs are missing; this system's package manager has them:$missing" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "programs are missing; install them with: sudo apt-get install$missing" >&2
  exit 1
fi

echo "installing:$missing"
case "$missing" in
  *postgresql*)
    # Debian's package would start a server of its own on port 5432; only its programs are needed.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] \
      || echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
    ;;
esac
# Debian starts what it installs, nginx on port 80 too; nobody asked for that.
no_start=""
if [ ! -e /usr/sbin/policy-rc.d ]; then
  no_start=/usr/sbin/policy-rc.d
  printf '#!/bin/sh\nexit 101\n' > "$no_start"
  chmod +x "$no_start"
  trap 'rm -f "$no_start"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # a list of names
apt-get install -qq -y --no-install-recommends $missing > /dev/null
for name in "$@"; do
  has "$name"
done
