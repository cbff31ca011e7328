// What an image file is, read from its first bytes: type and size in pixels. No image library; knows nothing about messages.

export type ImageType = 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp';
export interface ImageSize {
  type: ImageType;
  width: number;
  height: number;
}

const MAX_BYTES = 5 * 1024 * 1024;
const MAX_SIDE = 8_000;

function jpegSize(bytes: Buffer): ImageSize | undefined {
  let at = 2;
  while (at + 9 < bytes.length) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes.readUInt8(at + 1);
    // SOF0..SOF15 carry the size; C4 (Huffman), C8 (reserved) and CC (arithmetic) share the range.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { type: 'image/jpeg', height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    }
    // FF is padding; the markers without a length are 01 and D0..D7.
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) at += 2;
    else at += 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}

function webpSize(bytes: Buffer): ImageSize | undefined {
  const type = 'image/webp';
  const chunk = bytes.toString('latin1', 12, 16);
  if (chunk === 'VP8X') return { type, width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 };
  if (chunk === 'VP8L') {
    const bits = bytes.readUInt32LE(21);
    return { type, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (chunk === 'VP8 ') {
    return { type, width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
  }
  return undefined;
}

/** Type and size of a PNG, JPEG, GIF or WebP by its own bytes; undefined for anything else or a damaged header. */
export function imageSize(bytes: Buffer): ImageSize | undefined {
  if (bytes.length < 30) return undefined;
  if (bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))) {
    return { type: 'image/png', width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
  }
  if (/^GIF8[79]a/.test(bytes.toString('latin1', 0, 6))) {
    return { type: 'image/gif', width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
  }
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpegSize(bytes);
  if (bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP') return webpSize(bytes);
  return undefined;
}

/** Whether the model may be shown the image. One bad image would make every later call of the session fail. */
export function checkImage(bytes: Buffer): { ok: true; type: ImageType } | { ok: false; why: string } {
  if (bytes.length > MAX_BYTES) return { ok: false, why: 'not shown: larger than 5 MB' };
  const size = imageSize(bytes);
  if (!size) return { ok: false, why: 'not shown: not a readable PNG, JPEG, GIF or WebP' };
  const { width, height } = size;
  if (width < 1 || height < 1) return { ok: false, why: 'not shown: damaged image' };
  if (width > MAX_SIDE || height > MAX_SIDE)
    return { ok: false, why: `not shown: ${width}x${height} px, over 8000 px` };
  return { ok: true, type: size.type };
}
