// Bytes of a picture as a canvas takes them.

/** Grey or coloured bytes with red, green, blue and full opacity. */
export function rgba(pixels: Uint8Array, width: number, height: number, channels: number): ImageData {
  const made = new ImageData(width, height);
  for (let k = 0; k < width * height; k++) {
    for (let c = 0; c < 3; c++) made.data[4 * k + c] = pixels[channels * k + (channels === 1 ? 0 : c)];
    made.data[4 * k + 3] = 255;
  }
  return made;
}
