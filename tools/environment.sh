#!/usr/bin/env bash
# Make the virtual environment that the Makefile works in, or bring it up to date.
#
#   tools/environment.sh DIRECTORY [EXTRA]
#
# Installs this package editable, with an optional extra ("dev"), in the versions of constraints.txt. What is missing of
# Debian's packages is installed when we are root, else named.
set -euo pipefail

directory=$1
extra=${2:-}
python=${PYTHON:-python3}

need_packages() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get -q update >&2 && DEBIAN_FRONTEND=noninteractive apt-get -q install -y "${missing[@]}" >&2
    else
        echo "please install: ${missing[*]}" >&2
        return 1
    fi
}

if ! command -v "$python" >/dev/null; then
    need_packages python3 python3-venv
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "post3tw needs Python 3.11 or later; this is $("$python" --version). Say which one: make PYTHON=python3.12" >&2
    exit 1
}
if [ ! -x "$directory/bin/pip" ]; then
    # Debian keeps what makes an environment in a package of its own.
    "$python" -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv
    "$python" -m venv --clear "$directory"
fi

# Tests start a PostgreSQL of their own (post3tw/testing/postgresql.py).
if [ "$extra" = dev ]; then
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || need_packages postgresql
    # The proofs of durability record the system calls of a server (tests/durability).
    command -v strace >/dev/null || need_packages strace
    # Without a pooler and proxies the tests of them are skipped, but in CI they must run.
    [ "${CI:-}" != true ] || [ -x /usr/sbin/pgbouncer ] || need_packages pgbouncer
    [ "${CI:-}" != true ] || [ -x /usr/sbin/haproxy ] || need_packages haproxy
    [ "${CI:-}" != true ] || [ -x /usr/sbin/nginx ] || need_packages nginx-light
fi

# A browser is large: it is installed in CI alone. Without one its tests (tests/clients/test_browser.py) are skipped, and
# say so; where Debian has none, the other tests still run.
if [ "$extra" = dev ] && [ "${CI:-}" = true ] && ! command -v chromium >/dev/null; then
    need_packages chromium-headless-shell || echo "there is no browser to install" >&2
fi

# Without editable_mode=compat the package's directory is not on sys.path, and twistd would not find the plugin.
"$directory/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt \
    --config-settings editable_mode=compat --editable ".${extra:+[$extra]}"
