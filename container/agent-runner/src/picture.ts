// The picture program: a process for one picture that is too large for a model. Its bytes on standard input; on standard output a smaller one, as JPEG, the
// right way up. It reads what anybody sent, so the runner gives it little time and memory (pictures.ts).
import { readFileSync, writeFileSync } from 'node:fs';
import { PhotonImage, resize, SamplingFilter } from '@silvia-odwyer/photon-node';
import { MAX_BYTES, turnOf } from './image.js';

/** Above 20 pictures the API takes no larger ones, and it makes larger ones smaller itself. */
const MAX_SIDE = 2_000;
/** The first that is small enough. */
const QUALITIES = [85, 60, 30];

/** When memory is short, this process is ended before the runner. */
function offerFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Not Linux.
  }
}

function shrunk(bytes: Buffer): PhotonImage {
  const whole = PhotonImage.new_from_byteslice(bytes);
  const [width, height] = [whole.get_width(), whole.get_height()];
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  const smaller = resize(whole, side(width), side(height), SamplingFilter.Triangle);
  whole.free();
  return smaller;
}

/** On white, as JPEG knows nothing of what is transparent, and turned clockwise by so many quarters; `isMirrored`: left and right change places before. */
function upright(image: PhotonImage, { quarters, isMirrored }: ReturnType<typeof turnOf>): PhotonImage {
  const [width, height] = [image.get_width(), image.get_height()];
  const from = image.get_raw_pixels();
  const to = new Uint8Array(from.length);
  const [across, down] = quarters % 2 === 0 ? [width, height] : [height, width];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const left = isMirrored ? width - 1 - x : x;
      const places = [
        [left, y],
        [height - 1 - y, left],
        [width - 1 - left, height - 1 - y],
        [y, width - 1 - left],
      ] as const;
      const [toX, toY] = places[quarters] ?? places[0];
      const [source, target] = [(y * width + x) * 4, (toY * across + toX) * 4];
      const alpha = from[source + 3] ?? 255;
      for (let color = 0; color < 3; color += 1)
        to[target + color] = Math.round(((from[source + color] ?? 0) * alpha + 255 * (255 - alpha)) / 255);
      to[target + 3] = 255;
    }
  }
  return new PhotonImage(to, across, down);
}

offerFirst();
const bytes = readFileSync(0);
const image = upright(shrunk(bytes), turnOf(bytes));
const fits = (quality: number) => image.get_bytes_jpeg(quality).length <= MAX_BYTES;
process.stdout.write(image.get_bytes_jpeg(QUALITIES.find(fits) ?? 30));
