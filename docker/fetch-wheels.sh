#!/usr/bin/env bash
# What the image installs, fetched into docker/wheels by this machine's own pip with whatever it is set up to use: for
# builds that reach no index. docker/Dockerfile takes all from there when it is there. Hashes are checked here and there.
#
#   docker/fetch-wheels.sh [BASE_IMAGE [base|s3]]       PYTHON, UV: what to run
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-python:3.13-slim-bookworm}
requirements=requirements/${2:-base}.txt
python=${PYTHON:-.venv/bin/python}
uv=${UV:-.venv/bin/uv}

# The base's Python counts, not ours: which wheels fit, and what a requirement's own condition says.
ask='import platform; print(platform.python_version(), platform.machine(), platform.libc_ver()[1].split(".")[1])'
read -r version machine glibc < <(docker run --rm --network none --entrypoint python3 "$base" -c "$ask")
fits=()
for minor in $(seq 17 "$glibc"); do
    fits+=(--platform "manylinux_2_${minor}_$machine")
done
fits+=(--platform "manylinux2014_$machine")

rm -rf docker/wheels
"$uv" pip compile --quiet --no-deps --no-header --no-annotate --generate-hashes --python-version "$version" "$requirements" |
    "$python" -m pip download -qq --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
        --python-version "$version" "${fits[@]}" --requirement /dev/stdin --dest docker/wheels
echo "$(find docker/wheels -name '*.whl' | wc -l) wheels for Python $version in docker/wheels"
