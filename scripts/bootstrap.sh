# shellcheck shell=bash
# Sourced by scripts/lab and scripts/test: what the controller needs, installed where it is missing.
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
EXIT_LAB_FAILED=3

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "lab: $*"
    exit "$EXIT_LAB_FAILED"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo --non-interactive "$@"; fi
}

# Debian packages for the report's PDF, and for hosts as containers.
packages_for_report() { printf '%s\n' libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0; }

packages_for_containers() {
    local runtime=runc
    # crun refuses the hybrid layout of cgroups v1 and v2; runc takes it.
    [ "$(stat --file-system --format %T /sys/fs/cgroup 2>/dev/null)" = cgroup2fs ] && runtime=crun
    printf '%s\n' podman "$runtime" netavark aardvark-dns iptables mmdebstrap debian-archive-keyring iproute2
}

# Prints those of the named packages that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            printf '%s\n' "$package"
    done
}

install_packages() {
    local missing log
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -eq 0 ] && return 0
    command -v apt-get >/dev/null ||
        fail "this is neither Debian nor Ubuntu (no apt-get); install ${missing[*]} by your own means first"
    if [ "$(id -u)" -ne 0 ] && ! sudo --non-interactive true 2>/dev/null; then
        fail "missing packages, and no root rights to install them: run  sudo apt-get install ${missing[*]}  first"
    fi
    say "lab: installing ${missing[*]}"
    log=$(mktemp)
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}" \
        >"$log" 2>&1; then
        if ! { as_root apt-get update &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"; } \
            >"$log" 2>&1; then
            say "$(grep -E '^(E|W):' "$log" | tail -n 1)"
            rm -f "$log"
            fail "apt-get could not install ${missing[*]}; is a mirror reached from here, and is there room on the disk?"
        fi
    fi
    rm -f "$log"
}

# The first Python that is new enough and can make a virtual environment. One from the system first: a version
# manager's shim may be earlier on PATH and name another version than it runs.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# Makes .venv from the requirement files named; a stamp makes the next call quick.
make_venv() {
    local python stamp log requirements=() file
    for file in "$@"; do requirements+=(--requirement "$ROOT/$file"); done
    stamp=$(cd "$ROOT" && cat "$@" | sha256sum | cut -c1-16)
    [ -x "$VENV/bin/python" ] && [ -e "$VENV/.made-from-$stamp" ] && "$VENV/bin/python" -c '' 2>/dev/null && return 0
    if ! python=$(find_python); then
        install_packages python3 python3-venv
        python=$(find_python) || fail "no Python 3.11 or newer here; Debian 12 and Ubuntu 24.04 are the oldest that have one"
    fi
    say "lab: making .venv with $("$python" --version) (the packages of $*), about a minute"
    log=$(mktemp)
    # A venv of another Python, or one that was interrupted, is not repaired but made anew.
    [ -e "$VENV/.complete" ] && "$VENV/bin/python" -c '' 2>/dev/null || rm -rf "$VENV"
    if ! { "$python" -m venv "$VENV" &&
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
            --timeout 30 --retries 2 "${requirements[@]}"; } >"$log" 2>&1; then
        say "$(grep -iE 'error|no space' "$log" | tail -n 1)"
        rm -f "$log"
        fail "pip could not fill .venv; is a package index reached from here (pip's own configuration is used), and is there room on the disk?"
    fi
    rm -f "$log"
    touch "$VENV/.complete" "$VENV/.made-from-$stamp"
}

# bootstrap "PACKAGE ..." REQUIREMENTS_FILE ...: Debian packages and the venv, at the same time.
bootstrap() {
    local packages=$1 pid status=0
    shift
    export LC_ALL=C.UTF-8 ANSIBLE_CONFIG=$ROOT/ansible.cfg
    # shellcheck disable=SC2086 # a list of names
    install_packages $packages &
    pid=$!
    # In a subshell, so that a failure waits for apt-get instead of leaving it behind.
    (make_venv "$@") || status=$?
    wait "$pid" || status=$?
    [ "$status" -eq 0 ] || exit "$status"
    export PATH=$VENV/bin:$PATH
}
