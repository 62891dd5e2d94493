#!/usr/bin/env bash
# Sets jaxtheory up where a TPU is, or checks without one that everything compiles for TPUs.
#
#   bash tpu_setup.sh                  on Colab: keeps the JAX that is there and installs the rest;
#                                      on a bare TPU machine: installs JAX for TPUs too. Then the doctor looks.
#   bash tpu_setup.sh --check [NAME]   compiles every program and kernel for v5e and v6e, in an environment of
#                                      its own under ~/.cache; JAX_OPTIMIZATION_LEVEL=O2 compiles as a TPU does
#
# PYTHON names another interpreter than python3. Exit status: 0, 2 for bad usage, 3 for any failure.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

fail() {
    printf 'tpu_setup: %s\n' "$*" >&2
    exit 3
}

# install PYTHON ARGUMENT...: quiet, and one line where it fails.
install() {
    local interpreter=$1
    shift
    "$interpreter" -m pip install -q "$@" >"$work/pip" 2>&1 && return
    if grep -q 'externally-managed-environment' "$work/pip"; then
        fail "$interpreter belongs to the system: python3 -m venv ~/jaxtheory, then PYTHON=~/jaxtheory/bin/python"
    fi
    fail "pip could not install it: $(grep -i 'error' "$work/pip" | tail -n 1 || tail -n 1 "$work/pip")"
}

on_a_tpu() {
    local device
    for device in /sys/bus/pci/devices/*; do
        if [ "$(cat "$device/vendor" 2>/dev/null)" = 0x1ae0 ]; then
            case $(cat "$device/device" 2>/dev/null) in
                0x0027 | 0x0056 | 0x005e | 0x0062 | 0x0063 | 0x006f | 0x0076) return 0 ;;
            esac
        fi
    done
    return 1
}

set_up() {
    local found extras="experiments"
    # What a live kernel may have imported stays as it is.
    found=$("$python" - "$work/constraints" <<'PYTHON'
import re, sys
from importlib import metadata
kept = []
for name in ("jax", "jaxlib", "libtpu", "numpy", "scipy", "ml_dtypes"):
    try:
        kept.append(f"{name}=={metadata.version(name)}")
    except metadata.PackageNotFoundError:
        pass
with open(sys.argv[1], "w") as file:
    file.write("\n".join(kept) + "\n")
version = dict(one.split("==") for one in kept).get("jax")
if version is None:
    print("none")
else:
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    print("kept" if numbers >= (0, 10) else "old", version)
PYTHON
    ) || fail "$python does not run: name another with PYTHON"
    on_a_tpu && extras="experiments,tpu"
    case $found in
        kept*)
            [ -z "${COLAB_RELEASE_TAG:-}" ] || extras="experiments" # its libtpu is part of the runtime
            install "$python" --constraint "$work/constraints" "${root}[$extras]"
            echo "tpu_setup: jaxtheory is installed beside JAX ${found#kept }, which is left as it was"
            ;;
        old*)
            [ -z "${COLAB_RELEASE_TAG:-}" ] ||
                fail "this runtime has JAX ${found#old }, and 0.10 is the oldest supported: choose a newer runtime version"
            install "$python" "${root}[$extras]"
            echo "tpu_setup: jaxtheory is installed, and JAX ${found#old } was replaced: restart what had imported it"
            ;;
        *)
            install "$python" "${root}[$extras]"
            echo "tpu_setup: jaxtheory is installed, with JAX"
            ;;
    esac
    local status=0
    "$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))')/jaxtheory" doctor || status=$?
    exit "$status"
}

check() {
    local place version stamp
    version=$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))') ||
        fail "$python does not run: name another with PYTHON"
    place=${XDG_CACHE_HOME:-$HOME/.cache}/jaxtheory/tpu_check-$version
    stamp="$root $(cksum <"$root/pyproject.toml")"
    if [ "$(cat "$place/stamp" 2>/dev/null)" != "$stamp" ]; then
        rm -rf "$place"
        mkdir -p "$(dirname "$place")" || fail "$place cannot be made: set XDG_CACHE_HOME to a folder that can"
        "$python" -m venv "$place" >"$work/venv" 2>&1 || fail "no environment could be made: $(tail -n 1 "$work/venv")"
        install "$place/bin/python" --editable "${root}[tpu]"
        echo "$stamp" >"$place/stamp"
    fi
    local status=0
    JAX_PLATFORMS=cpu "$place/bin/python" -m jaxtheory.lab.machines.tpu_check "$@" || status=$?
    exit "$status"
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>"$work/python" ||
    fail "$python is no Python 3.11 or newer: name one with PYTHON"
case ${1:-} in
    "") set_up ;;
    --check)
        shift
        check "$@"
        ;;
    -h | --help) sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" ;;
    *)
        printf 'tpu_setup: there is no option %s; there are --check and --help\n' "$1" >&2
        exit 2
        ;;
esac
