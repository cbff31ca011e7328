// Reads type and size of an image from its first bytes, without an image library. Knows nothing about messages.

type ImageType = 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp';
type Size = [width: number, height: number] | undefined;

/** The API counts the 5 MB of an image as they are sent, in base64. */
const MAX_BYTES = (5 * 1024 * 1024 * 3) / 4;
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

/** The type, or why the model cannot see the image. One bad image would make every later call of the session fail. */
export function checkImage(bytes: Buffer): { type?: ImageType; why?: string } {
  if (bytes.length > MAX_BYTES) return { why: 'not shown: larger than 3.9 MB' };
  const image = imageSize(bytes);
  if (!image || Math.min(...image.size) < 1) return { why: 'not shown: not a readable PNG, JPEG, GIF or WebP' };
  if (Math.max(...image.size) > MAX_SIDE) return { why: `not shown: ${image.size.join('x')} px, over 8000 px` };
  return image;
}
