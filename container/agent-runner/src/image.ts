// Reads type and size of an image from its first bytes, without an image library. Knows nothing about messages.

type ImageType = 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp';
type Size = [width: number, height: number] | undefined;

/** The API counts the 5 MB of an image as they are sent, in base64. */
export const MAX_BYTES = (5 * 1024 * 1024 * 3) / 4;
const MAX_SIDE = 8_000;

function jpegSize(bytes: Buffer): Size {
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes.readUInt8(at + 1);
    // SOF0..SOF15 carry the size; C4 (Huffman), C8 (reserved) and CC (arithmetic) share the range.
    const hasSize = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (hasSize) return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)];
    // FF is padding; every other marker before the size has a length.
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}

/** Width and height are 14 bits each, stored less one. */
function losslessSize(bytes: Buffer): Size {
  const bits = bytes.readUInt32LE(21);
  return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
}

const FORMATS: [start: RegExp, type: ImageType, size: (bytes: Buffer) => Size][] = [
  [/^\x89PNG\r\n/, 'image/png', (b) => [b.readUInt32BE(16), b.readUInt32BE(20)]],
  [/^GIF8[79]a/, 'image/gif', (b) => [b.readUInt16LE(6), b.readUInt16LE(8)]],
  [/^\xff\xd8/, 'image/jpeg', jpegSize],
  [/^RIFF.{4}WEBPVP8X/s, 'image/webp', (b) => [b.readUIntLE(24, 3) + 1, b.readUIntLE(27, 3) + 1]],
  [/^RIFF.{4}WEBPVP8 /s, 'image/webp', (b) => [b.readUInt16LE(26) & 0x3fff, b.readUInt16LE(28) & 0x3fff]],
  [/^RIFF.{4}WEBPVP8L/s, 'image/webp', losslessSize],
];

/** Type and size of a PNG, JPEG, GIF or WebP by its own bytes; undefined for anything else or a damaged header. */
export function imageSize(bytes: Buffer): { type: ImageType; size: NonNullable<Size> } | undefined {
  const start = bytes.toString('latin1', 0, 30);
  const [, type, read] = (start.length === 30 && FORMATS.find(([pattern]) => pattern.test(start))) || [];
  const size = read?.(bytes);
  return type && size && { type, size };
}

/** More cannot be made smaller within the memory of a container. */
const MAX_PIXELS = 40_000_000;

/** The type, why the model cannot see the image, or that it can see a smaller one. One bad image would make every later call of the session fail. */
export function checkImage(bytes: Buffer): { type?: ImageType; why?: string; isTooLarge?: true } {
  const image = imageSize(bytes);
  if (!image || Math.min(...image.size) < 1) return { why: 'not shown: not a readable PNG, JPEG, GIF or WebP' };
  const [width, height] = image.size;
  if (bytes.length <= MAX_BYTES && Math.max(width, height) <= MAX_SIDE) return image;
  if (width * height > MAX_PIXELS) return { why: `not shown: ${width}x${height} px, over 40 million pixels` };
  return { isTooLarge: true };
}

/** How a camera that was held otherwise says to turn its JPEG: mirrored first, then clockwise. https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf */
export function turnOf(bytes: Buffer): { quarters: number; isMirrored: boolean } {
  const turns: [quarters: number, isMirrored: boolean][] = [
    ...([
      [0, false],
      [0, true],
      [2, false],
      [2, true],
    ] as const),
    ...([
      [3, true],
      [1, false],
      [1, true],
      [3, false],
    ] as const),
  ].map(([quarters, isMirrored]) => [quarters, isMirrored]);
  const [quarters, isMirrored] = turns[orientation(bytes) - 1] ?? [0, false];
  return { quarters, isMirrored };
}

const ORIENTATION = 0x0112;

/** The tag of that name in the first directory of the Exif segment; 1, as it stands, where there is none. */
function orientation(bytes: Buffer): number {
  if (!/^\xff\xd8/.test(bytes.toString('latin1', 0, 2))) return 1;
  // Exif has to be the first or second segment, each of 64 kB at most.
  const start = bytes.subarray(0, 131_072).indexOf('Exif\0\0', 0, 'latin1') + 6;
  const tiff = bytes.subarray(start, start + 65_536);
  if (start < 6 || tiff.length < 14) return 1;
  const isLittle = tiff.toString('latin1', 0, 2) === 'II';
  const u16 = (at: number) => (at + 2 > tiff.length ? 0 : isLittle ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at));
  const directory = isLittle ? tiff.readUInt32LE(4) : tiff.readUInt32BE(4);
  for (let entry = 0; entry < Math.min(u16(directory), 200); entry += 1) {
    const at = directory + 2 + entry * 12;
    if (u16(at) === ORIENTATION) return u16(at + 8);
  }
  return 1;
}
