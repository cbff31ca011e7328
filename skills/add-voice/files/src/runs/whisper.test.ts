// Voice messages with stand-ins that speak the command lines of ffmpeg and whisper-cli, and with the real ffmpeg where there is one.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Channel, ChannelError } from '../channels/channel.js';
import { openStore } from '../store.js';
import { whisper } from './whisper.js';
import { createWorkOrders } from './work-order.js';

const ffmpeg = (process.env.PATH ?? '')
  .split(':')
  .map((place) => join(place, 'ffmpeg'))
  .find((path) => existsSync(path));
if (!ffmpeg) console.log('not tested: voice messages with the real ffmpeg, because it is not installed here');

// Like the real ones: ffmpeg fails on what it cannot read; whisper-cli answers a wrong option with its usage and exit code 0.
const FFMPEG = `#!${process.execPath}
const fs = require('node:fs');
const args = process.argv.slice(2);
const after = (name) => args[args.indexOf(name) + 1];
fs.appendFileSync(__dirname + '/calls', 'ffmpeg ' + args.join(' ') + '\\n');
const sound = fs.readFileSync(after('-i'), 'utf8');
if (!sound.startsWith('OggS')) process.exit(183);
fs.writeFileSync(args.at(-1), 'RIFF ' + after('-ar') + ' ' + sound.slice(4));
`;
const WHISPER = `#!${process.execPath}
const fs = require('node:fs');
const args = process.argv.slice(2);
const values = {};
while (args.length > 0) {
  const name = args.shift();
  if (['-np', '-nt'].includes(name)) values[name] = true;
  else if (['-m', '-f', '-l'].includes(name)) values[name] = args.shift();
  else {
    console.error('error: unknown argument: ' + name);
    process.exit(0);
  }
}
fs.appendFileSync(__dirname + '/calls', 'whisper ' + JSON.stringify(process.env) + '\\n');
const [, rate, words] = /^RIFF (\\d+) ([^]*)$/.exec(fs.readFileSync(values['-f'], 'utf8')) ?? [];
if (rate !== '16000' || !fs.existsSync(values['-m'])) process.exit(3);
if (words === 'crash') process.exit(139);
if (!values['-np']) console.log('whisper_init_from_file_with_params_no_state: loading model');
console.log((values['-nt'] ? '' : '[00:00:00.000 --> 00:00:01.000]  ') + ' ' + words + ' (' + values['-l'] + ')');
`;

let folder: string;
let env: Record<string, string>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinch-whisper-'));
  for (const [name, text] of Object.entries({ ffmpeg: FFMPEG, 'whisper-cli': WHISPER }))
    writeFileSync(join(folder, name), text, { mode: 0o755 });
  writeFileSync(join(folder, 'ggml-base.bin'), 'model');
  env = { PATH: folder, WHISPER_MODEL: join(folder, 'ggml-base.bin'), ANTHROPIC_API_KEY: 'canary' };
});
afterEach(() => rmSync(folder, { recursive: true }));

const calls = () => readFileSync(join(folder, 'calls'), 'utf8');
const media = { kind: 'voice' as const, fileName: 'voice.ogg', mimeType: 'audio/ogg', sizeBytes: 1, ref: 'r' };
function read(sound: string, more: Partial<Parameters<typeof whisper>[1]> = {}) {
  const file = join(folder, '7-0');
  writeFileSync(file, sound);
  return whisper(file, { ...media, ...more }, env);
}

test('a voice message becomes a transcript, and nothing of it stays in the temporary folder', async () => {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = join(folder, 'tmp');
  mkdirSync(process.env.TMPDIR);
  expect(await read('OggSbuy milk')).toEqual({ transcript: { by: 'whisper.cpp', text: 'buy milk (auto)' } });
  expect(readdirSync(process.env.TMPDIR)).toEqual([]);
  process.env.TMPDIR = before;
  if (before === undefined) delete process.env.TMPDIR;
  env.WHISPER_LANGUAGE = 'de';
  expect(await read('OggSMilch')).toMatchObject({ transcript: { text: 'Milch (de)' } });
  expect(calls()).toContain(`-i ${join(folder, '7-0')} -t 900`);
});

test('the programs get no keys, and ffmpeg only the formats of voice messages from plain files', async () => {
  await read('OggSx');
  expect(calls()).not.toContain('canary');
  expect(calls()).toContain(`-protocol_whitelist file -format_whitelist ogg,mov,`);
});

test('other kinds are not listened to', async () => {
  for (const kind of ['audio', 'video', 'image', 'document'] as const)
    expect(await read('OggSx', { kind })).toEqual({});
  expect(existsSync(join(folder, 'calls'))).toBe(false);
});

test.each([
  ['no model is set', { WHISPER_MODEL: '' }, 'WHISPER_MODEL is not set. The owner'],
  [
    'the model is not there',
    { WHISPER_MODEL: '/nowhere/ggml.bin' },
    'WHISPER_MODEL names a file that is not there. The owner',
  ],
  ['ffmpeg is missing', { WHISPER_FFMPEG: 'no-ffmpeg' }, 'the program no-ffmpeg is not installed. The owner'],
  ['whisper-cli is missing', { WHISPER_CLI: '/opt/none/whisper-cli' }, 'the program whisper-cli is not installed. The'],
])('%s: the model is told what to install', async (_name, change, words) => {
  Object.assign(env, change);
  const { note, transcript } = await read('OggSx');
  expect(transcript).toBeUndefined();
  expect(note).toContain(`no transcript: ${words}`);
  expect(note).toContain('skills/add-voice/SKILL.md');
});

test.each([
  ['a file that is no sound', '#EXTM3U', 'ffmpeg failed (183)'],
  ['a crash', 'OggScrash', 'whisper-cli failed (139)'],
])('%s is told and harms nothing', async (_name, sound, words) => {
  expect(await read(sound)).toEqual({ note: `no transcript: ${words}` });
  expect(await read('OggSnext')).toMatchObject({ transcript: { text: 'next (auto)' } });
});

test('silence is no transcript, and a very long one is cut', async () => {
  writeFileSync(join(folder, 'whisper-cli'), `#!${process.execPath}\nconsole.log(' [BLANK_AUDIO]\\n');`, {
    mode: 0o755,
  });
  expect(await read('OggSx')).toEqual({ note: 'no transcript: no words were heard in it' });
  writeFileSync(join(folder, 'whisper-cli'), `#!${process.execPath}\nconsole.log('word '.repeat(9_000));`, {
    mode: 0o755,
  });
  expect((await read('OggSx')).transcript?.text).toMatch(/word … \(cut\)$|word… \(cut\)$/);
});

test('two messages are written down one after the other', async () => {
  const busy = join(folder, 'busy');
  const script = `#!${process.execPath}
    const fs = require('node:fs');
    fs.writeFileSync(${JSON.stringify(busy)}, '', { flag: 'wx' });
    setTimeout(() => { fs.rmSync(${JSON.stringify(busy)}); console.log('alone'); }, 100);`;
  writeFileSync(join(folder, 'whisper-cli'), script, { mode: 0o755 });
  const both = await Promise.all([read('OggSa'), read('OggSb')]);
  expect(both).toMatchObject([{ transcript: { text: 'alone' } }, { transcript: { text: 'alone' } }]);
});

test('a voice message reaches the run with its transcript; without network the run waits for it', async () => {
  const store = openStore(join(folder, 'pinch.db'));
  let fetchMedia: Channel['fetchMedia'] = async () => {
    throw new ChannelError('network', 'away');
  };
  const channel: Channel = {
    start: () => undefined,
    stop: async () => undefined,
    split: (text) => [text],
    send: async () => ({ platformId: 'p' }),
    typing: () => undefined,
    fetchMedia: (...asked) => fetchMedia(...asked),
  };
  mkdirSync(join(folder, 'data'));
  const config = { assistantName: 'Pinch', model: 'm', timeZone: 'UTC', dataDir: join(folder, 'data'), env };
  const orders = createWorkOrders({
    ...{
      store,
      config,
      channel: () => channel,
      readers: { whisper },
      ownSkills: () => [],
      skillsLeftOut: () => false,
      fallback: { choose: () => 'm' },
      windowOf: async () => undefined,
      services: () => [],
      checkRoom: () => undefined,
      diskNote: () => undefined,
      search: () => undefined,
      mcp: () => [],
    },
  });
  const group = store.groups.ensure('main', true, 1);
  const chat = store.groups.seenChat({ channel: 'telegram', address: '1', kind: 'direct', title: 'Ann', now: 1 });
  const row = {
    chatId: chat.id,
    direction: 'in' as const,
    platformId: '1',
    senderId: null,
    senderName: 'Ann',
    text: '',
  };
  const messageId = store.messages.add({ ...row, media: [media], sentAt: 1, now: 1 }) ?? 0;
  const ids = { groupId: group.id, chatId: chat.id };
  const runId = store.runs.enqueue({ ...ids, key: 'k', kind: 'message', session: 's', runAt: 1, now: 1 }) ?? 0;
  store.runs.attachMessages(runId, chat.id, messageId);
  await expect(orders.promptMessages(runId)).rejects.toThrow('away');
  fetchMedia = async () => Buffer.from('OggSbuy milk');
  expect(await orders.promptMessages(runId)).toMatchObject([{ media: [{ transcript: { text: 'buy milk (auto)' } }] }]);
});

test.skipIf(!ffmpeg)('the real ffmpeg reads Opus and refuses a playlist', async () => {
  const opus = join(folder, 'opus.ogg');
  const sine = ['-f', 'lavfi', '-i', 'sine=duration=1', '-c:a', 'libopus', opus];
  expect(spawnSync(ffmpeg ?? '', ['-loglevel', 'error', ...sine]).status).toBe(0);
  env.WHISPER_FFMPEG = ffmpeg ?? '';
  const size = `#!${process.execPath}\nconsole.log(require('node:fs').statSync(process.argv[5]).size);`;
  writeFileSync(join(folder, 'whisper-cli'), size, { mode: 0o755 });
  // A second of 16,000 samples of two bytes, and the header.
  const { transcript } = await whisper(opus, media, env);
  expect(Number(transcript?.text)).toBeGreaterThan(32_000);
  expect(Number(transcript?.text)).toBeLessThan(34_000);
  expect((await read('#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n')).note).toMatch(/ffmpeg failed/);
});
