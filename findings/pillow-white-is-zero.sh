#!/usr/bin/env bash
# Versions: Pillow 13.0.0, tifffile 2026.3.3, NumPy 2.4.6 (Python 3.11, Linux x86-64).
# Behaviour: TIFF's tag 262 (PhotometricInterpretation) may say 0, "white is zero". Pillow turns the
#   values of such a file if they have up to 8 bits, so that 255 is white as in mode L. If they
#   have 16 bits, or are 32-bit floats, it hands them out as they are stored. Nothing is said; the
#   modes L, I;16 and F have no place for the tag. Of 32-bit integers it refuses the file.
# One would guess: the same picture comes out, dark where it is dark, whatever its depth; or the
#   library refuses what it does not turn.
# Why it matters: scanners and X-ray systems write white-is-zero. A folder of 8- and 16-bit scans of
#   the same kind is half positive, half negative; `image.point`, histograms and trained models
#   take black for white. Read image.tag_v2[262] and turn the values yourself: 65535 - values.
# Source: OPEN_INFO in https://github.com/python-pillow/Pillow/blob/main/src/PIL/TiffImagePlugin.py
#   (with 0 for the tag, "L;I" up to 8 bits and "I;16" at 16; of big-endian files none at 16),
#   https://github.com/python-pillow/Pillow/pull/5655 (writing the tag: 1 and 8 bits alone).
# Output seen:
#   the same wedge, white at the left, stored with 0 as white
#   uint8   mode L     as stored [0, 51, 102, 153, 204, 255]             Pillow [255, 204, 153, 102, 51, 0]
#   uint16  mode I;16  as stored [0, 13107, 26214, 39321, 52428, 65535]  Pillow [0, 13107, 26214, 39321, 52428, 65535]
#   float32 mode F     as stored [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]          Pillow [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
#   int32   refused: UnidentifiedImageError
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import io

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

print("the same wedge, white at the left, stored with 0 as white")
share = np.linspace(0, 1, 6)  # of black
found = {}
for kind, top in (("uint8", 255), ("uint16", 65535), ("float32", 1), ("int32", 255)):
    stored = (share * top).round(7).astype(kind)
    file = io.BytesIO()
    tifffile.imwrite(file, stored[None], photometric="miniswhite")
    try:
        image = Image.open(file)
    except UnidentifiedImageError as error:
        print(f"{kind:<8}refused: {type(error).__name__}")
        found[kind] = "refused"
        continue
    assert image.tag_v2[262] == 0
    read = np.asarray(image)[0]
    assert read.dtype == kind
    shown = [[round(each, 3) for each in values.tolist()] for values in (stored, read)]
    print(f"{kind:<8}mode {image.mode:<6}as stored {shown[0]!s:<43}Pillow {shown[1]}")
    turned = np.array_equal(read, (top - stored).astype(kind))
    found[kind] = "turned" if turned else "as it is" if np.array_equal(read, stored) else "other"
expected = {"uint8": "turned", "uint16": "as it is", "float32": "as it is", "int32": "refused"}
assert found == expected, f"the behaviour has changed: {found}"
PYTHON
