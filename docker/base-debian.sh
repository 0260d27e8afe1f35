#!/usr/bin/env bash
# A base image for where no registry is reached: Debian 12 with Python, pip and venv, and nothing else.
#
#   sudo docker/base-debian.sh                       makes towline/base-debian:12, unless it is there
#   docker build -f docker/Dockerfile --build-arg BASE_IMAGE=towline/base-debian:12 -t towline .
#
# Takes root, debootstrap and a Docker engine. DEBIAN_MIRROR: where packages come from, else debootstrap's own choice;
# it goes through `http_proxy`. To have newer packages, remove the image and run this again.
set -euo pipefail
image=${1:-towline/base-debian:12}
suite=bookworm

if docker image inspect "$image" > /dev/null 2>&1; then
    echo "$image is there"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
packages=python3,python3-venv,python3-pip,ca-certificates
debootstrap --variant=minbase --include="$packages" "$suite" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} > "$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    exit 1
}

# What an image has no use for, and what would make two builds differ. Licences stay.
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/dev" "$root/tmp" "$root/var/log" "$root"/var/cache/{apt,debconf,ldconfig} "$root/var/lib/apt/lists" \
    "$root"/usr/share/{man,info,locale,lintian,bash-completion} -mindepth 1 -delete
rm -f "$root/etc/machine-id" "$root/etc/hostname" "$root/etc/resolv.conf"

tar --create --sort=name --numeric-owner --one-file-system --directory "$root" . |
    docker import --change 'CMD ["python3"]' --change 'ENV LANG=C.UTF-8' - "$image" > /dev/null
docker image inspect --format "$image: {{.Size}} bytes" "$image"
