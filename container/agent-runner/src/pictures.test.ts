// Pictures that a model does not take as they are: real ones, through the program as it is shipped; damaged ones and bombs are left out in time.
import fs from 'node:fs';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { PhotonImage } from '@silvia-odwyer/photon-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { whenBusy } from '../../../test/limits.js';
import { imageSize, turnOf } from './image.js';
import { createPictures } from './pictures.js';
import { testMessage } from './testing/host.js';
import { type Bench, setUp } from './testing/setup.js';
import { bundlePicture } from './testing/sites.js';

let bench: Bench;
let picture: string;
beforeAll(async () => {
  picture = await bundlePicture();
  bench = await setUp([], { picture });
});
afterAll(async () => {
  await bench.close();
  fs.rmSync(path.dirname(picture), { recursive: true });
});

/** Bytes without a pattern, always the same. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let seed = 1;
  for (let at = 0; at < length; at += 1) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    bytes[at] = seed >>> 16;
  }
  return bytes;
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  size.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([size, body, sum]);
}

/** `sample`: bytes of a pixel: 3 are RGB, 8 are RGBA of 16 bits. */
function png(width: number, height: number, { rows, sample = 3 }: { rows?: Buffer; sample?: 3 | 8 } = {}): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set(sample === 3 ? [8, 2] : [16, 6], 8);
  const raw = rows ?? Buffer.alloc((width * sample + 1) * height);
  const data = deflateSync(raw, { level: rows ? 0 : 1 });
  const parts = [chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...parts]);
}

function noisyPng(side: number): Buffer {
  const rows = noise((side * 3 + 1) * side);
  for (let y = 0; y < side; y += 1) rows[y * (side * 3 + 1)] = 0;
  return png(side, side, { rows });
}

/** Left half black, right half white. */
function halves(width: number, height: number): PhotonImage {
  const pixels = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y += 1) pixels.fill(0, y * width * 4, (y * width + width / 2) * 4);
  for (let at = 3; at < pixels.length; at += 4) pixels[at] = 255;
  return new PhotonImage(pixels, width, height);
}

/** 2600x2000 px of noise, as large as a photo of a phone. */
function photo(): Buffer {
  // Less loud than noise: the fake counts the bytes of a picture as text, a million at most.
  const pixels = new Uint8Array(noise(2_600 * 2_000 * 4).map((value) => 100 + (value >> 2)));
  const image = new PhotonImage(pixels, 2_600, 2_000);
  return Buffer.from(image.get_bytes_jpeg(97));
}

/** Each code is one byte: the table is cleared before codes would need nine bits. */
function gif(width: number, height: number): Buffer {
  const codes: number[] = [];
  for (let at = 0; at < width * height; at += 1) codes.push(...(at % 100 === 0 ? [128] : []), at % 2);
  codes.push(129);
  const blocks: Buffer[] = [];
  for (let at = 0; at < codes.length; at += 255) {
    const part = codes.slice(at, at + 255);
    blocks.push(Buffer.from([part.length, ...part]));
  }
  const size = Buffer.alloc(4);
  size.writeUInt16LE(width, 0);
  size.writeUInt16LE(height, 2);
  const colors = Buffer.alloc(128 * 3, 200);
  const head = [Buffer.from('GIF89a'), size, Buffer.from([0xf6, 0, 0]), colors];
  const frame = [Buffer.from([0x2c, 0, 0, 0, 0]), size, Buffer.from([0, 7])];
  return Buffer.concat([...head, ...frame, ...blocks, Buffer.from([0, 0x3b])]);
}

/** With the segment in which a camera says how it was held. */
function held(bytes: Buffer, orientation: number): Buffer {
  const tiff = Buffer.from('4d4d002a000000080001011200030000000100000000', 'hex');
  tiff.writeUInt16BE(orientation, 18);
  const body = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiff, Buffer.alloc(4)]);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(body.length + 2);
  return Buffer.concat([bytes.subarray(0, 2), Buffer.from([0xff, 0xe1]), size, body, bytes.subarray(2)]);
}

let messageId = 0;
/** What the model gets of a picture that was sent. */
async function sent(bytes: Buffer) {
  messageId += 1;
  const id = messageId;
  bench.host.media.set(`${id}/0`, bytes);
  bench.fake.push({ text: 'ok' });
  const before = bench.fake.requests.length;
  const file = { index: 0, kind: 'image' as const, fileName: 'a.jpg', mimeType: 'image/jpeg', sizeBytes: bytes.length };
  await bench.run({ id, session: `s${id}`, messages: [testMessage(id, 'look', { media: [file] })] });
  const content = bench.fake.requests[before]?.body?.messages[0]?.content ?? [];
  const images = (typeof content === 'string' ? [] : content).flatMap((part) =>
    part.type === 'image' && part.source.type === 'base64' ? [Buffer.from(part.source.data, 'base64')] : [],
  );
  const texts = (typeof content === 'string' ? [] : content).map((part) => (part.type === 'text' ? part.text : ''));
  return { text: texts.join('\n'), image: images[0] };
}

test.each<[string, () => Buffer, number, number]>([
  ['a JPEG of more than 4.7 MB', photo, 2_000, 1_538],
  ['a PNG of 20 MB', () => noisyPng(2_620), 2_000, 2_000],
  ['a PNG of 12000x3000 px', () => png(12_000, 3_000), 2_000, 500],
  ['a WebP of 9000x60 px', () => Buffer.from(halves(9_000, 60).get_bytes_webp()), 2_000, 13],
  ['a GIF of 9000x60 px', () => gif(9_000, 60), 2_000, 13],
  ['a PNG of 30000x1 px', () => png(30_000, 1), 2_000, 1],
])(
  '%s is shown smaller, and the model is told so',
  async (_name, make, width, height) => {
    const bytes = make();
    const found = imageSize(bytes);
    expect(bytes.length > (5 * 1024 * 1024 * 3) / 4 || Math.max(...(found?.size ?? [])) > 8_000).toBe(true);
    const { text, image } = await sent(bytes);
    expect(image && imageSize(image)).toEqual({ type: 'image/jpeg', size: [width, height] });
    expect(text).toContain(`shown smaller than it is: ${found?.size.join('x')} px`);
  },
  whenBusy(60_000),
);

test.each<[string, () => Buffer, RegExp]>([
  [
    'that claims 50000x50000 px',
    () => {
      const bytes = png(10, 10);
      bytes.writeUInt32BE(50_000, 16);
      bytes.writeUInt32BE(50_000, 20);
      return bytes;
    },
    /over 40 million pixels/,
  ],
  ['that is cut off', () => noisyPng(1_500).subarray(0, 4_500_000), /could not be made smaller/],
  [
    'with a wide head and nothing behind it',
    () => Buffer.concat([png(9_000, 100).subarray(0, 60), noise(5_000)]),
    /could not be made smaller/,
  ],
  [
    'whose data are no data',
    () => {
      const bytes = Buffer.from(halves(600, 400).get_bytes_jpeg(80));
      return Buffer.concat([bytes.subarray(0, 640), noise(4_500_000)]);
    },
    /not shown/,
  ],
])(
  'a picture %s is left out in half a sentence, and the run goes on',
  async (_name, make, why) => {
    const startedAt = performance.now();
    const { text, image } = await sent(make());
    expect(image).toBeUndefined();
    expect(text).toMatch(why);
    expect(performance.now() - startedAt).toBeLessThan(whenBusy(30_000));
  },
  whenBusy(60_000),
);

test(
  'what takes too long is ended, and a stopped run does not wait',
  async () => {
    const bytes = noisyPng(2_000);
    const { signal } = new AbortController();
    await expect(createPictures(picture, 50).shrink(bytes, signal)).rejects.toThrow('takes too long');
    await expect(createPictures(picture).shrink(bytes, AbortSignal.abort())).rejects.toThrow(/abort/i);
  },
  whenBusy(30_000),
);

test(
  'a picture is turned as its camera was held',
  async () => {
    const flat = Buffer.from(halves(9_000, 60).get_bytes_jpeg(80));
    const dark = async (orientation: number) => {
      const image = PhotonImage.new_from_byteslice((await sent(held(flat, orientation))).image ?? Buffer.alloc(0));
      const [width, height, pixels] = [image.get_width(), image.get_height(), image.get_raw_pixels()];
      const at = (x: number, y: number) => (pixels[(y * width + x) * 4] ?? 0) < 128;
      const corners = { left: at(0, 0) && at(0, height - 1), top: at(0, 0) && at(width - 1, 0) };
      return [
        width > height ? 'wide' : 'tall',
        corners.left ? 'left' : corners.top ? 'top' : width > height ? 'right' : 'bottom',
      ].join(' ');
    };
    const all: string[] = [];
    for (let orientation = 1; orientation <= 8; orientation += 1) all.push(await dark(orientation));
    expect(all).toEqual([
      'wide left',
      'wide right',
      'wide right',
      'wide left',
      'tall top',
      'tall top',
      'tall bottom',
      'tall bottom',
    ]);
    expect([0, 9, 65_535].map((orientation) => turnOf(held(flat, orientation)))).toEqual(
      Array.from({ length: 3 }, () => ({ quarters: 0, isMirrored: false })),
    );
  },
  whenBusy(60_000),
);

test('a picture of zeros that takes 300 MB when it is read does no harm, shown or not', async () => {
  const { text, image } = await sent(png(40_000, 1_000, { sample: 8 }));
  expect(text).toMatch(image ? /shown smaller/ : /could not be made smaller/);
});
