#!/usr/bin/env bash
# Copy a folder or file to the cluster with rsync over ssh; one that was interrupted goes on where it stopped.
# Usage: slurm/upload.sh SRC [DRY_RUN]      any second word only shows what would be copied
#
# Settings from .env.upload in the current folder, as NAME=value without quotes, or from the environment:
#   UPLOAD_HOST=user@cluster.example.org    as ssh knows it
#   UPLOAD_DIR=/path/on/the/cluster         SRC is put into it under its own name
#   UPLOAD_SSH=ssh -p 2222                  optional: the command that connects
set -euo pipefail

source=${1:?name what to upload: make upload SRC=...}
file=.env.upload
if [[ -f $file ]]; then
    while IFS='=' read -r name value || [[ -n $name ]]; do
        name=${name%$'\r'} value=${value%$'\r'} # saved on Windows
        case $name in
            '' | \#*) ;;
            UPLOAD_HOST | UPLOAD_DIR | UPLOAD_SSH) printf -v "$name" %s "${!name:-$value}" ;;
            *)
                echo "error: $file: unknown setting $name; known: UPLOAD_HOST, UPLOAD_DIR, UPLOAD_SSH" >&2
                exit 2
                ;;
        esac
    done <"$file"
fi
for name in UPLOAD_HOST UPLOAD_DIR; do
    if [[ -z ${!name:-} ]]; then
        echo "error: $name is not set. Write $name=... into $file." >&2
        exit 2
    fi
done
if [[ ! -e $source ]]; then
    echo "error: $source: no such file or folder" >&2
    exit 2
fi

# Without a slash at its end a folder is copied as such; -s keeps blanks and quotes in names what they are. What came
# over of an interrupted file is kept aside and used, and the file appears whole or not at all.
options=(--archive --human-readable --partial-dir=.rsync-partial -s --rsh="${UPLOAD_SSH:-ssh}")
if [[ -n ${2:-} ]]; then options+=(--dry-run --itemize-changes); fi
if [[ -t 1 ]]; then options+=(--info=progress2); else options+=(--stats); fi
exec rsync "${options[@]}" -- "${source%/}" "$UPLOAD_HOST:$UPLOAD_DIR/"
