import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkImage, imageSize } from './image.js';
import { testMessage } from './testing/host.js';
import { type Bench, lastUserText, setUp } from './testing/setup.js';

let bench: Bench;
beforeEach(async () => {
  bench = await setUp([]);
});
afterEach(() => bench.close());

function png(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(64);
  Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex').copy(bytes);
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes;
}
const jpeg = Buffer.concat([
  Buffer.from('ffd8ffe00010', 'hex'),
  Buffer.alloc(14),
  Buffer.from('ffffc2001108012c0190', 'hex'),
  Buffer.alloc(30),
]);
const gif = Buffer.concat([Buffer.from('GIF89a'), Buffer.from([5, 0, 7, 0]), Buffer.alloc(30)]);
const webp = (chunk: string, at: number, hex: string) => {
  const bytes = Buffer.alloc(40);
  bytes.write('RIFF', 0);
  bytes.write(`WEBP${chunk}`, 8);
  Buffer.from(hex, 'hex').copy(bytes, at);
  return bytes;
};
const image = (index: number, fileName = 'photo.png') => ({
  index,
  kind: 'image' as const,
  fileName,
  mimeType: 'image/png',
  sizeBytes: 64,
});

test.each([
  ['png', png(300, 200), { type: 'image/png', size: [300, 200] }],
  ['jpeg', jpeg, { type: 'image/jpeg', size: [400, 300] }],
  ['gif', gif, { type: 'image/gif', size: [5, 7] }],
  ['webp lossy', webp('VP8 ', 26, '0a001400'), { type: 'image/webp', size: [10, 20] }],
  ['webp lossless', webp('VP8L', 21, '09c00400'), { type: 'image/webp', size: [10, 20] }],
  ['webp extended', webp('VP8X', 24, '090000130000'), { type: 'image/webp', size: [10, 20] }],
  ['text', Buffer.alloc(100, 'x'), undefined],
  ['a short file', Buffer.from('GIF89a'), undefined],
  ['a jpeg cut off', jpeg.subarray(0, 30), undefined],
])('the size of %s is read from its bytes', (_name, bytes, expected) => {
  expect(imageSize(bytes)).toEqual(expected);
});

test('an image the API would refuse is not shown to it as it is', () => {
  expect(checkImage(png(8_001, 10))).toEqual({ isTooLarge: true });
  expect(checkImage(Buffer.concat([png(10, 10), Buffer.alloc(5 * 1024 * 1024)]))).toEqual({ isTooLarge: true });
  expect(checkImage(png(50_000, 50_000))).toMatchObject({ why: expect.stringContaining('50000x50000') });
  expect(checkImage(png(0, 10))).toHaveProperty('why');
  expect(checkImage(png(8_000, 10))).toMatchObject({ type: 'image/png' });
});

test('media is saved once, named in the prompt, and images are shown', async () => {
  bench.host.media.set('1/0', png(30, 20));
  bench.host.media.set('1/1', Buffer.from('not an image'));
  const broken = {
    index: 3,
    kind: 'video' as const,
    fileName: 'v',
    mimeType: 'video/mp4',
    sizeBytes: 0,
    error: 'larger than 20 MB',
  };
  const media = [image(0, '../../evil name.png'), image(1), image(2), broken];
  const messages = [testMessage(1, 'look', { media })];
  bench.fake.push({ fault: 401, type: 'authentication_error' }, { text: 'nice' });
  await bench.run({ messages });
  await bench.run({ attempt: 2, messages });
  expect(bench.fake.rejections()).toEqual([]);
  const inbox = path.join(bench.paths.workspace, 'inbox');
  expect(fs.readdirSync(inbox).sort()).toEqual(['1-0-evil name.png', '1-1-photo.png']);
  const text = lastUserText(bench);
  for (const part of ['1-0-evil name.png', 'not a readable PNG', 'could not be fetched', 'larger than 20 MB']) {
    expect(text).toContain(part);
  }
  expect(text.match(/"type":"image"/g)).toHaveLength(1);
});

test('more images than a conversation may hold are named, not shown', async () => {
  const media = Array.from({ length: 23 }, (_, index) => image(index));
  for (const { index } of media) bench.host.media.set(`1/${index}`, png(3_000, 20));
  await bench.run({ messages: [testMessage(1, 'all', { media })] });
  expect(bench.fake.rejections()).toEqual([]);
  expect(lastUserText(bench).match(/"type":"image"/g)).toHaveLength(20);
  expect(lastUserText(bench).match(/too many images/g)).toHaveLength(3);
});

test('a voice message comes with its file and its transcript, or with why there is none', async () => {
  const voice = (index: number) => ({
    index,
    kind: 'voice' as const,
    fileName: 'v.ogg',
    mimeType: 'audio/ogg',
    sizeBytes: 1,
  });
  const transcript = { by: 'whisper.cpp', text: 'buy milk' };
  for (const index of [0, 1]) bench.host.media.set(`1/${index}`, Buffer.from('OggS'));
  bench.fake.push({ text: 'ok' });
  const media = [
    { ...voice(0), transcript },
    { ...voice(1), note: 'no transcript: no model' },
  ];
  await bench.run({ messages: [testMessage(1, '', { media })] });
  const told = lastUserText(bench);
  expect(told).toMatch(/inbox\/1-0-v\.ogg[^/]*><transcript [^>]*>buy milk<\/transcript><\/media>/);
  expect(told).toMatch(/inbox\/1-1-v\.ogg[^/]*note=[^/]*no transcript: no model[^/]*\/>/);
});
