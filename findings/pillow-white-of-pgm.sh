#!/usr/bin/env bash
# Versions: Pillow 13.0.0, imagecodecs 2026.3.6, NumPy 2.4.6 (Python 3.11, Linux x86-64).
# Behaviour: Pillow reads the same 12-bit grey values as other numbers from each kind of file. From PNG
#   they come as they are stored. Those of a PGM are scaled by 65535 / maxval, the white that the header
#   of this one file states; those of a JPEG 2000 are shifted left until its bits are 16. Nothing is said, and
#   `image.info` holds neither the maxval nor the bits, so that the scale cannot be undone.
# One would guess: values come as stored whatever holds them, or scaled whatever holds them; and what
#   they were scaled by can be asked for.
# Why it matters: with 10- to 14-bit cameras and satellites (PGM, JP2) a value means photons or
#   reflectance. Two files of one camera, written with other maxvals, no longer agree, and a threshold of
#   500 that holds for PNG holds for no other. Read the header
#   of a PGM and its raster with NumPy; decode JPEG 2000 by imagecodecs or glymur.
# Source: https://github.com/python-pillow/Pillow/issues/6202 (raw values of PGM, open since 2022),
#   https://github.com/python-pillow/Pillow/pull/6119 (the scaling), j2ku_gray_i in
#   https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Jpeg2KDecode.c (the shift).
# Output seen:
#   the values 500 and 1000, as Pillow reads them
#   PNG, 16 bits             mode I;16  [500, 1000]      info []
#   PGM, maxval 65535        mode I     [500, 1000]      info []
#   PGM, maxval 4095         mode I     [8002, 16004]    info []
#   PGM, maxval 1000         mode I     [32768, 65535]   info []
#   JPEG 2000, 16 bits       mode I;16  [500, 1000]      info ['comment']
#   JPEG 2000, 12 bits       mode I;16  [8000, 16000]    info ['comment']
#   JPEG 2000, 10 bits       mode I;16  [32000, 64000]   info ['comment']
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pillow==13.0.0 imagecodecs==2026.3.6 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import io

import imagecodecs
import numpy as np
from PIL import Image

values = np.array([[500, 1000]] * 2, np.uint16)
png = io.BytesIO()
Image.fromarray(values).save(png, "PNG")
files = {"PNG, 16 bits": png.getvalue()}
for white in (65535, 4095, 1000):
    files[f"PGM, maxval {white}"] = b"P5 2 2 %d\n" % white + values.astype(">u2").tobytes()
for bits in (16, 12, 10):
    encoded = imagecodecs.jpeg2k_encode(values, bitspersample=bits, reversible=True)
    assert np.array_equal(imagecodecs.jpeg2k_decode(encoded), values)
    files[f"JPEG 2000, {bits} bits"] = encoded

print("the values 500 and 1000, as Pillow reads them")
found = []
for name, content in files.items():
    image = Image.open(io.BytesIO(content))
    found.append(np.asarray(image)[0].tolist())
    print(f"{name:<25}mode {image.mode:<6}{found[-1]!s:<17}info {list(image.info)}")
as_stored, pgm, shifted = [500, 1000], [[8002, 16004], [32768, 65535]], [[8000, 16000], [32000, 64000]]
expected = [as_stored, as_stored, *pgm, as_stored, *shifted]
assert found == expected, f"the behaviour has changed: {found}"
PYTHON
