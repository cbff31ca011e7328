// What the Messages API refuses about images: wrong type, broken data, too large, too many. Reads only the headers of the files.
import { blocksOf, type RequestBlock, type RequestMessage } from './anthropic-shape.js';

type ImageSource = Extract<RequestBlock, { type: 'image' }>['source'];

const MAX_IMAGE_BYTES = 5 * 1024 * 1024;
const MAX_SIDE = 8_000;
const MANY_IMAGES = 20;
const MAX_SIDE_OF_MANY = 2_000;
const MAX_IMAGES = 100;

/** Why one image is refused, or undefined. */
export function imageProblem(source: ImageSource): string | undefined {
  if (source.type === 'url') return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(source.data) || source.data.length % 4 !== 0)
    return 'image.source.base64.data: invalid base64 data';
  const bytes = Buffer.from(source.data, 'base64');
  if (source.data.length > MAX_IMAGE_BYTES) {
    return `image.source.base64: image exceeds 5 MB maximum: ${source.data.length} bytes > ${MAX_IMAGE_BYTES} bytes`;
  }
  const found = imageType(bytes);
  if (!found) return 'image.source.base64.data: Could not process image';
  if (found !== source.media_type) {
    return `image.source.base64.media_type: the image was specified using the ${source.media_type} media type, but the image appears to be a ${found} image`;
  }
  const side = longestSide(bytes, found);
  if (side === undefined) return 'Could not process image';
  return side > MAX_SIDE
    ? 'image.source.base64.data: At least one of the image dimensions exceed max allowed size: 8000 pixels'
    : undefined;
}

/** Limits over the whole request, or undefined. */
export function mediaLimits(messages: RequestMessage[]): string | undefined {
  const blocks = messages.flatMap((message) => blocksOf(message.content)).flatMap(withInner);
  const images = blocks.flatMap((block) => (block.type === 'image' ? [block.source] : []));
  const documents = blocks.filter((block) => block.type === 'document').length;
  if (images.length + documents > MAX_IMAGES) {
    return `Too much media: ${documents} document pages + ${images.length} images > ${MAX_IMAGES}`;
  }
  if (images.length <= MANY_IMAGES) return undefined;
  const tooLarge = images.some((source) => source.type === 'base64' && sideOf(source.data) > MAX_SIDE_OF_MANY);
  return tooLarge
    ? 'At least one of the image dimensions exceed max allowed size for many-image requests: 2000 pixels'
    : undefined;
}

function withInner(block: RequestBlock): RequestBlock[] {
  return block.type === 'tool_result' && Array.isArray(block.content) ? block.content : [block];
}

function sideOf(data: string): number {
  const bytes = Buffer.from(data, 'base64');
  const type = imageType(bytes);
  return (type === undefined ? undefined : longestSide(bytes, type)) ?? 0;
}

function imageType(bytes: Buffer): string | undefined {
  const head = bytes.toString('latin1', 0, 12);
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'image/gif';
  if (head.startsWith('RIFF') && head.endsWith('WEBP')) return 'image/webp';
  return undefined;
}

function longestSide(bytes: Buffer, type: string): number | undefined {
  if (type === 'image/png' && bytes.length >= 24) return Math.max(bytes.readUInt32BE(16), bytes.readUInt32BE(20));
  if (type === 'image/gif' && bytes.length >= 10) return Math.max(bytes.readUInt16LE(6), bytes.readUInt16LE(8));
  if (type === 'image/jpeg') return jpegSide(bytes);
  // WebP has three layouts; its size is not checked here, only that there is something behind the header.
  return type === 'image/webp' && bytes.length > 20 ? 1 : undefined;
}

function jpegSide(bytes: Buffer): number | undefined {
  let at = 2;
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] ?? 0;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return Math.max(bytes.readUInt16BE(at + 5), bytes.readUInt16BE(at + 7));
    at += 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}
