// What ends the daemon, wherever it is met, ends it twice: after that it is set aside and told, and everything else goes on. The real daemon with
// the real channels, started again whenever it ends, as a service manager does. `poison.mjs` is what ends it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { type FakeWhatsApp, type Peer, startFakeWhatsApp } from '../fakes/whatsapp.js';
import { type Family, startFamily } from './family.js';
import { eventually, newHome, startDaemon } from './harness.js';
import { type Scene, startScene } from './talk.js';

const home = newHome();
const record = join(home, 'ends.txt');
let family: Family;
let fake: FakeWhatsApp;
let olga: Peer;
let scene: Scene;
let env: Record<string, string>;
let isOver = false;
let living: Promise<void>;

beforeAll(async () => {
  // The fake's people use libsignal too, which prints whole sessions.
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => undefined);
  family = await startFamily();
  fake = await startFakeWhatsApp({ phone: '491700000000' });
  olga = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Olga' });
  writeFileSync(join(home, 'media-ca.pem'), fake.media.ca);
  const poison = pathToFileURL(join(import.meta.dirname, 'poison.mjs'));
  env = {
    ...family.env,
    ...{ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url, PINCH_OWNER: 'whatsapp:+491701111111' },
    ...{ NODE_EXTRA_CA_CERTS: join(home, 'media-ca.pem'), POISON_RECORD: record },
    NODE_OPTIONS: `${fake.media.nodeOptions} --import=${poison}`,
  };
  const responder = ({ body }: { body: { messages: unknown[] } | undefined }) => {
    const [, asked = 'well'] = /say ([\w-]+)/.exec(JSON.stringify(body?.messages.at(-1))) ?? [];
    return { text: asked };
  };
  scene = await startScene({ model: { responder }, daemon: { home, env } });
  living = keepAlive();
  const qr = await eventually(() => linkOf(), 'a QR code');
  await fake.scan(qr);
  await family.tg.waitForPoll();
  await api('POST', '/api/chats/telegram:-500/register', { folder: 'family' });
  await whatsappOpens();
});
afterAll(async () => {
  isOver = true;
  await scene.close();
  await living;
  await fake.close();
  await family.tg.close();
});

/** On the same port, as with a service. */
async function keepAlive(): Promise<void> {
  const PINCH_PORT = String(scene.daemon.port);
  for (let starts = 1; starts < 60; starts++) {
    await scene.daemon.exited;
    if (isOver) return;
    await startDaemon({ home, env: { ...scene.env, ...env, PINCH_PORT } }).then(
      (daemon) => {
        scene.daemon = daemon;
      },
      () => undefined,
    );
  }
}

/** Asks until somebody answers: the daemon may be ending. */
const api = (method: string, path: string, body?: unknown) =>
  eventually(() => scene.daemon.api(method, path, body).catch(() => undefined), `an answer to ${method} ${path}`);
const statusOf = z.object({
  channels: z.array(
    z.object({ name: z.string(), state: z.string(), link: z.object({ qr: z.string().optional() }).optional() }),
  ),
});
async function whatsapp() {
  return statusOf.parse((await api('GET', '/api/status')).body).channels.find(({ name }) => name === 'whatsapp');
}
const linkOf = async () => (await whatsapp())?.link?.qr;
const whatsappOpens = () => eventually(async () => (await whatsapp())?.state === 'open', 'whatsapp is open');

const ends = (word: string) =>
  existsSync(record)
    ? readFileSync(record, 'utf8')
        .split('\n')
        .filter((line) => line === word).length
    : 0;
const says = (text: string) => family.tg.userSends(family.family, family.olga, text);
const hears = (text: string) => family.tg.waitForSent(({ plain }) => plain.includes(text));
const reads = (text: string) => fake.untilSent((sent) => sent.text.includes(text));
const kept = async () => JSON.stringify((await api('GET', '/api/set-aside')).body);
/** To the owner, wherever that is. */
const told = (text: string) =>
  eventually(async () => JSON.stringify((await api('GET', '/api/outbox')).body).includes(text), `told: ${text}`);

describe('what ends Pinch', () => {
  test('an update of Telegram: those behind it are answered', async () => {
    says('poison-update of Telegram');
    says('@Pinch say after-the-update');
    await hears('after-the-update');
    await told('message telegram');
    expect([ends('poison-update'), await kept()]).toEqual([2, expect.stringContaining('poison-update')]);
  });

  test('a message on WhatsApp, in the library’s own hands: those behind it are answered', async () => {
    await whatsappOpens();
    await olga.says('poison-stanza on WhatsApp', { encrypted: true });
    await olga.says('say after-the-stanza', { encrypted: true });
    await reads('after-the-stanza');
    await told('message whatsapp');
    expect([ends('poison-stanza'), await kept()]).toEqual([2, expect.stringContaining('poison-stanza')]);
  });

  test('an answer to Telegram and one to WhatsApp: the next ones are sent', async () => {
    says('@Pinch say poison-answer');
    await told('could not be sent: Pinch ended twice');
    says('@Pinch say after-the-answer');
    await hears('after-the-answer');
    expect(ends('poison-answer telegram')).toBe(2);
    await olga.says('say poison-answer', { encrypted: true });
    await eventually(() => ends('poison-answer whatsapp') === 2, 'it ended twice');
    await olga.says('say after-this-one-too', { encrypted: true });
    await reads('after-this-one-too');
    expect(ends('poison-answer whatsapp')).toBe(2);
  });

  test('a slot of a task, and a delivery of a hook that is repeated', async () => {
    await api('POST', '/api/chat', { text: '/hook look at it' });
    await api('POST', '/api/tasks', { chat: 'telegram:-500', prompt: 'poison-slot', every: '2s' });
    await told('ended twice while it was being started');
    expect(ends('poison-slot')).toBe(2);
    const { secret } = z.object({ secret: z.string() }).parse((await api('GET', '/api/tasks/1/secret')).body);
    const call = (body: string) =>
      fetch(`http://127.0.0.1:${scene.daemon.port}/hooks/1`, {
        method: 'POST',
        headers: { authorization: `Bearer ${secret}` },
        body,
      }).then(
        ({ status }) => status,
        () => undefined,
      );
    expect(await eventually(() => call('poison-hook'), 'the hook is answered')).toBe(200);
    expect([ends('poison-hook'), await kept()]).toEqual([2, expect.stringContaining('poison-hook')]);
    expect(await call('another')).toBe(202);
  });

  test('a file that somebody sent, a run that is handed over, and a message that is indexed', async () => {
    const document = { bytes: Buffer.from('poison-file'), file_name: 'a.txt' };
    family.tg.userSends(family.family, family.olga, { document, caption: '@Pinch say without-the-file' });
    await hears('without-the-file');
    expect(ends('poison-file')).toBe(2);
    says('@Pinch poison-run');
    await told('Pinch ended twice while it was being handed over');
    says('@Pinch say after-the-run');
    await hears('after-the-run');
    expect(ends('poison-run')).toBe(2);
    says('a word: poisonindex');
    await told('search-entry');
    says('@Pinch say after-the-index');
    await hears('after-the-index');
    expect(ends('poisonindex')).toBe(2);
  });

  test('a request that a page repeats: it is refused, others are answered', async () => {
    await api('POST', '/api/tasks', { chat: 'telegram:-500', prompt: 'x', title: 'poison-page', every: '9h' });
    const { status } = await api('GET', '/api/tasks');
    expect([status, ends('poison-page')]).toEqual([503, 2]);
    expect((await api('GET', '/api/status')).status).toBe(200);
    await told('request /api/tasks');
  });
});

describe('what throws', () => {
  test('an update and a message: after some tries those behind them go on, and what they said is kept', async () => {
    says('refused-update of Telegram');
    says('@Pinch say nothing-is-held-up');
    await olga.says('refused-message on WhatsApp', { encrypted: true });
    await olga.says('say neither-is-this', { encrypted: true });
    await Promise.all([hears('nothing-is-held-up'), reads('neither-is-this')]);
    for (const words of ['refused-update', 'refused-message']) expect(await kept()).toContain(words);
  });
});
