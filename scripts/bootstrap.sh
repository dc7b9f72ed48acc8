# shellcheck shell=bash
# Sourced by scripts/lab and scripts/test: what the controller needs, installed where it is missing.
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
PROGRAM=$(basename "$0")
EXIT_LAB_FAILED=3
# What .venv takes while it is made, in MB: 700 once it is there (900 for the tests), and its packages as they come.
VENV_DISK_MB=1400

say() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }

fail() {
    say "$*"
    exit "$EXIT_LAB_FAILED"
}

# Debian packages for the report's PDF: Pango, and what embeds only those glyphs of a font that are used.
packages_for_report() { printf '%s\n' libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0; }

# Debian packages for the tests that look at the report: a browser, which Ubuntu has as a snap only, and pdftotext.
packages_for_report_tests() {
    printf 'poppler-utils\n'
    if grep --quiet '^ID=debian' /etc/os-release 2>/dev/null; then printf 'chromium-headless-shell\n'; fi
}

# Debian packages for hosts as containers. iptables and nftables: older and newer versions of netavark.
packages_for_containers() {
    printf '%s\n' podman netavark aardvark-dns iptables nftables mmdebstrap debian-archive-keyring iproute2
    # crun refuses cgroups v1 beside v2; runc takes them all.
    if [ "$(stat --file-system --format %T /sys/fs/cgroup 2>/dev/null)" != cgroup2fs ]; then
        printf 'runc\n'
    elif ! command -v runc >/dev/null; then
        printf 'crun\n'
    fi
}

# Debian packages for hosts as virtual machines of the lab's own.
packages_for_machines() {
    printf '%s\n' qemu-system-x86 qemu-utils mmdebstrap debian-archive-keyring e2fsprogs iproute2
}

# Debian packages for the hosts that the inventories named with -i have the lab make.
packages_for_hosts() {
    if inventories_have machine_hosts "$@"; then packages_for_machines; else packages_for_containers; fi
}

# Prints the inventories that -i names. Other options are read by Ansible's own parser (_options.py); here nothing is
# installed yet, so -i stands in full.
inventories() {
    local argument previous='' inventory
    for argument in "$@"; do
        inventory=
        case $previous in -i | --inventory | --inventory-file) inventory=$argument ;; esac
        case $argument in
            --inventory=* | --inventory-file=*) inventory=${argument#*=} ;;
            -i?*) inventory=${argument#-i} ;;
        esac
        previous=$argument
        [ -z "$inventory" ] || printf '%s\n' "$inventory"
    done
}

# inventories_have WORD OPTION ...: tells whether one of the inventories named has the word.
inventories_have() {
    local word=$1 named
    shift
    mapfile -t named < <(inventories "$@")
    [ ${#named[@]} -gt 0 ] && grep --recursive --quiet --no-messages --word-regexp "$word" "${named[@]}"
}

# Tells whether -i names only inventories whose hosts exist already; without -i it is the containers' inventory.
hosts_exist_already() {
    [ -n "$(inventories "$@")" ] || return 1
    # The variable by which the playbooks know that there are hosts to make.
    ! inventories_have lab_subnet "$@"
}

# Prints those of the named Debian packages that are not installed.
missing_packages() {
    local package installed
    [ $# -gt 0 ] || return 0
    if command -v dpkg-query >/dev/null; then
        installed=$(dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null)
        for package in "$@"; do
            grep --quiet --line-regexp --fixed-strings "$package installed" <<<"$installed" || printf '%s\n' "$package"
        done
        return
    fi
    # Another distribution: packages may have other names there, so look for the programs.
    for package in "$@"; do
        case $package in
            qemu-system-x86) command -v qemu-system-x86_64 >/dev/null || printf '%s\n' "$package" ;;
            qemu-utils) command -v qemu-img >/dev/null || printf '%s\n' "$package" ;;
            podman | mmdebstrap | crun | runc) command -v "$package" >/dev/null || printf '%s\n' "$package" ;;
            openssh-client) command -v ssh >/dev/null || printf '%s\n' "$package" ;;
        esac
    done
}

# Makes sure that install_packages can work; asks for sudo's password here, while the terminal is free.
may_install_packages() {
    command -v apt-get >/dev/null ||
        fail "this is neither Debian nor Ubuntu (no apt-get), and $* is missing: install it yourself, then try again"
    [ "$(id -u)" -ne 0 ] || return 0
    if command -v sudo >/dev/null; then
        if sudo --non-interactive true 2>/dev/null; then return 0; fi
        if [ -t 0 ] && sudo --validate; then return 0; fi
    fi
    fail "packages are missing, and installing them needs root; as root: apt-get install --no-install-recommends $*"
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo --non-interactive "$@"; fi; }

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get --option DPkg::Lock::Timeout=300 --option Acquire::Retries=2 "$@"
}

# Prints why apt-get failed, from its output.
reason_of_apt() {
    local last
    last=$(grep -E '^(E|W|dpkg): ?' "$1" | tail -n 1)
    if grep -qiE 'no space left|enough free space' "$1"; then
        printf 'the disk is full (%s): make room' "$last"
    elif grep -qiE 'could not resolve|failure resolving|failed to fetch|unable to connect|could not connect' "$1"; then
        printf 'the Debian mirrors cannot be reached (%s): check /etc/apt/sources.list.d and the network' "$last"
    elif grep -q 'Unable to locate package' "$1"; then
        printf 'this release lacks some of them (%s); Debian 12, Debian 13 and Ubuntu 24.04 have all' "$last"
    else
        printf '%s' "${last:-no reason given}"
    fi
}

# install_packages LOG PACKAGE ...
install_packages() {
    local log=$1
    shift
    # What is known of the mirrors may be too old, or nothing; only then is it worth the time to ask them.
    if apt_get install --yes --no-install-recommends "$@" >"$log" 2>&1; then return 0; fi
    if grep -q 'dpkg was interrupted' "$log"; then as_root dpkg --configure --pending >>"$log" 2>&1; fi
    { apt_get update && apt_get install --yes --no-install-recommends "$@"; } >"$log" 2>&1 && return 0
    say "apt-get could not install $*: $(reason_of_apt "$log")"
    return "$EXIT_LAB_FAILED"
}

# Prints the first Python that the packages of requirements.txt run on and that can make a virtual environment. The
# system's own first: a version manager's shim may be earlier on PATH, and may run another version than its name says,
# or none.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null
        then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# Prints why pip failed, from its output.
reason_of_pip() {
    local last
    last=$(grep -iE 'error|no space|no matching' "$1" | tail -n 1)
    if grep -qi 'no space left' "$1"; then
        printf 'the disk is full (%s): make room' "$last"
    elif grep -qiE 'name resolution|name or service|connection|timed out|certificate|proxy|unreachable|retrying' "$1"; then
        printf "the package index cannot be reached (%s): check the network and pip's configuration" "$last"
    else
        printf '%s' "${last:-no reason given}"
    fi
}

# pip_install LOG ARGUMENT ...: bytecode is left to the first import, as most of Ansible's 30,000 files are never imported.
pip_install() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
        --timeout 30 --retries 2 "${@:2}" >"$1" 2>&1
}

# fill_venv LOG PYTHON REQUIREMENTS_FILE ...
fill_venv() {
    local log=$1 python=$2 file largest=() others=() status=0
    shift 2
    # One that was interrupted, or whose Python is gone, is not repaired but made anew.
    if [ ! -e "$VENV/.complete" ] || ! "$VENV/bin/python" -c '' 2>/dev/null; then
        rm -rf "$VENV"
        if [ "$(df --output=avail --block-size=1M "$ROOT" | tail -n 1)" -lt "$VENV_DISK_MB" ]; then
            say "the disk is nearly full: .venv needs $VENV_DISK_MB MB in $ROOT; make room"
            return "$EXIT_LAB_FAILED"
        fi
        if ! "$python" -m venv "$VENV" >"$log" 2>&1; then
            say "$python could not make $VENV: $(tail -n 1 "$log")"
            return "$EXIT_LAB_FAILED"
        fi
    fi
    rm -f "$VENV/.complete"
    for file in "$@"; do rm -f "$VENV/.has-$file-"*; done
    # A third of the time goes to the package ansible, which is files only: a pip of its own for it, beside the other.
    mapfile -t others < <(cd "$ROOT" && grep --no-filename --extended-regexp '^[A-Za-z]' "$@")
    mapfile -t largest < <(printf '%s\n' "${others[@]}" | grep '^ansible==')
    mapfile -t others < <(printf '%s\n' "${others[@]}" | grep --invert-match '^ansible==')
    pip_install "$log.largest" --no-deps "${largest[@]}" &
    pip_install "$log" "${others[@]}" || status=$EXIT_LAB_FAILED
    wait $! || status=$EXIT_LAB_FAILED
    if [ "$status" -ne 0 ]; then
        cat "$log.largest" >>"$log"
        say "pip could not fill .venv from $*: $(reason_of_pip "$log")"
        return "$status"
    fi
    for file in "$@"; do touch "$VENV/$(stamp "$file")"; done
    touch "$VENV/.complete"
}

# Prints the name of the file that says: .venv has what this requirements file, as it is now, asks for.
stamp() { printf '.has-%s-%s\n' "$1" "$(sha256sum "$ROOT/$1" | cut -c1-16)"; }

# Tells whether .venv has what the requirements files named ask for.
venv_is_filled() {
    local file
    [ -e "$VENV/.complete" ] || return 1
    for file in "$@"; do [ -e "$VENV/$(stamp "$file")" ] || return 1; done
    "$VENV/bin/python" -c '' 2>/dev/null
}

# in_background COMMAND ...: starts it in a process group of its own, as the terminal's Ctrl-C is for this script only, and
# without the lock; $background is its process id.
in_background() {
    set -m
    "$@" 9>&- &
    background=$!
    set +m
}

# follow PID TEXT: shows on a terminal that something is at work, until it is over; returns its exit status.
follow() {
    local began=$SECONDS
    if [ -t 2 ]; then
        while kill -0 "$1" 2>/dev/null; do
            printf '\r\033[K%s: %s (%d s)\r' "$PROGRAM" "$2" $((SECONDS - began)) >&2
            sleep 0.5
        done
        printf '\r\033[K' >&2
    fi
    wait "$1"
}

# bootstrap "PACKAGE ..." REQUIREMENTS_FILE ...: installs what is missing, Debian packages and .venv at the same time.
# Says what it installs; costs a fraction of a second where nothing is missing.
bootstrap() {
    local missing python='' apt='' pip='' status=0 began=$SECONDS logs wanted=$1
    shift
    # Ansible asks for a UTF-8 locale. The configuration is named, as a world-writable folder's own is ignored.
    export LC_ALL=C.UTF-8 ANSIBLE_CONFIG=$ROOT/ansible.cfg
    export PATH=$VENV/bin:$PATH:/usr/sbin:/sbin
    # pip_install leaves bytecode to the first import. Without it every program would compile all that it imports, at
    # each start.
    unset PYTHONDONTWRITEBYTECODE
    # shellcheck disable=SC2086 # a list of names
    mapfile -t missing < <(missing_packages $wanted)
    if [ ${#missing[@]} -eq 0 ] && venv_is_filled "$@"; then return 0; fi

    # Another start in the same folder waits here, and then finds everything done.
    mkdir -p "$ROOT/.lab" 2>/dev/null || fail "$ROOT is not writable: use a clone of the lab that you own"
    exec 9>"$ROOT/.lab/bootstrap.lock"
    if ! flock --nonblock 9; then
        say "another start of this lab is installing; waiting for it"
        flock 9
        exec 9>&-
        bootstrap "$wanted" "$@"
        return
    fi

    logs=$(mktemp --directory)
    # shellcheck disable=SC2064 # the folder's name is known now
    trap "rm -rf '$logs'" EXIT
    # apt-get must not be cut off, so it is waited for; pip can be.
    trap 'say "interrupted while installing; the next start continues from here"
        [ -z "$pip" ] || kill -- "-$pip" 2>/dev/null; wait; exit 130' INT TERM
    if ! venv_is_filled "$@" && ! python=$(find_python); then
        python=$(/usr/bin/python3 -c 'import sys; print("{}.{}".format(*sys.version_info))' 2>/dev/null)
        case $python in
            '' | 3.11 | 3.12 | 3.13 | 3.14) ;;
            *) fail "the lab runs on Python 3.11 to 3.14, this machine has $python only: install one of these" ;;
        esac
        # Debian keeps what makes a virtual environment in a package of its own.
        may_install_packages python3 python3-venv
        say "installing the Debian packages python3 python3-venv"
        in_background install_packages "$logs/apt" python3 python3-venv
        follow "$background" "apt-get" || exit "$EXIT_LAB_FAILED"
        python=$(find_python) ||
            fail "no Python 3.11 to 3.14 that can make a virtual environment; Debian 12 and 13 and Ubuntu 24.04 have one"
    fi
    if [ ${#missing[@]} -gt 0 ]; then
        may_install_packages "${missing[@]}"
        say "installing the Debian packages ${missing[*]}"
        in_background install_packages "$logs/apt" "${missing[@]}"
        apt=$background
    fi
    if [ -n "$python" ]; then
        say "making .venv with $("$python" --version) from $* (700 MB, about half a minute)"
        in_background fill_venv "$logs/pip" "$python" "$@"
        pip=$background
        follow "$pip" "making .venv" || status=$EXIT_LAB_FAILED
    fi
    if [ -n "$apt" ]; then follow "$apt" "apt-get" || status=$EXIT_LAB_FAILED; fi
    trap - INT TERM EXIT
    rm -rf "$logs"
    exec 9>&-
    [ "$status" -eq 0 ] || exit "$status"
    say "installed in $((SECONDS - began)) s"
}
