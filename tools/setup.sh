#!/bin/sh
# Set up .venv from a lock file, every package checked by its hash: sh tools/setup.sh requirements.lock
set -eu

lock=$1
venv=.venv
# An installation as root warns about root, and an old pip about itself; neither is a newcomer's concern.
export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1

# 3.11 first: it is the version everything is tested on. A shim may be on the path without a Python behind it.
find_python() {
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "setup: no Python 3.11, 3.12 or 3.13 found. Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
}

if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    python=$(find_python)
    echo "setup: virtual environment in $venv ($("$python" -V))" >&2
    "$python" -m venv --clear "$venv" || {
        echo "setup: on Debian and Ubuntu the venv module is a package of its own: apt install python3-venv" >&2
        exit 1
    }
fi

echo "setup: installing $lock (a minute or two the first time)" >&2
"$venv/bin/python" -m pip install --quiet --require-hashes -r "$lock"
"$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation -e .
