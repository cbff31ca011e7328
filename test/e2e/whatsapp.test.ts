import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { type FakeWhatsApp, type Group, type Peer, startFakeWhatsApp } from '../fakes/whatsapp.js';
import { reactionsIn } from '../fakes/whatsapp-screen.js';
import { eventually, newHome, startDaemon } from './harness.js';
import { bash, type Scene, startScene } from './talk.js';

let scene: Scene;
let fake: FakeWhatsApp;
let olga: Peer;
let ben: Peer;
let family: Group;
const home = newHome();
let env: Record<string, string>;

beforeAll(async () => {
  // The fake's people use libsignal too, which prints whole sessions.
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => undefined);
  fake = await startFakeWhatsApp({ phone: '491700000000' });
  olga = fake.contact({ phone: '491701111111', lid: '200000000000001', name: 'Olga' });
  ben = fake.contact({ phone: '491702222222', lid: '200000000000002', name: 'Ben' });
  family = fake.group({ subject: 'Family', members: [olga, ben], addressing: 'lid' });
  const authority = join(home, 'media-ca.pem');
  writeFileSync(authority, fake.media.ca);
  env = {
    ...{ WHATSAPP_ENABLED: '1', WHATSAPP_WS_URL: fake.url, PINCH_OWNER: 'whatsapp:+491701111111' },
    ...{ NODE_EXTRA_CA_CERTS: authority, NODE_OPTIONS: fake.media.nodeOptions },
  };
  scene = await startScene({ daemon: { home, env } });
});
afterAll(async () => {
  await scene.close();
  await fake.close();
});

const status = z.object({
  channels: z.array(
    z.object({ name: z.string(), state: z.string(), link: z.object({ qr: z.string().optional() }).optional() }),
  ),
});

async function channel() {
  const { body } = await scene.daemon.api('GET', '/api/status');
  return status.parse(body).channels.find(({ name }) => name === 'whatsapp');
}
const untilOpen = () => eventually(async () => (await channel())?.state === 'open', 'whatsapp is open');
const lastUserText = () => JSON.stringify(scene.model.requests.at(-1)?.body?.messages.at(-1));

test('the QR code in the API is scanned; the terminal showed one too; the owner writes, a container answers', async () => {
  const qr = await eventually(async () => (await channel())?.link?.qr, 'a QR code');
  expect(scene.daemon.stderr()).toContain('▀');
  await fake.scan(qr);
  await untilOpen();
  scene.model.push(bash('echo 42'), { text: 'It is **42**.' });
  await olga.says('what is it?', { encrypted: true });
  await fake.untilSent((sent) => sent.text === 'It is *42*.');
  expect(olga.received.filter(({ text }) => text !== '')).toMatchObject([{ text: 'It is *42*.', encrypted: true }]);
  expect(fake.presences.map(({ state }) => state)).toContain('composing');
});

test('a stranger gets no answer and costs no model call', async () => {
  const calls = scene.model.requests.length;
  const { id } = await ben.says('hello?');
  await fake.untilReceipt(id);
  await fake.untilConfirmed();
  expect(scene.model.requests).toHaveLength(calls);
  expect(ben.received).toEqual([]);
});

test('a group: registered by the owner, talk is context, a mention by LID is answered', async () => {
  await olga.says('/register family', { to: family });
  await fake.untilSent((sent) => sent.to === family.id);
  scene.model.push(bash('sleep 2.5'), { text: 'Milk.' });
  await ben.says('we need milk', { to: family });
  const asked = await ben.says(`${family.mention('me')} what do we need?`, { to: family, mentions: ['me'] });
  const { message } = await fake.untilSent((sent) => sent.text === 'Milk.');
  // The answer quotes the question, as its writer is known in the group; while it was worked on, it had a mark.
  expect(message.extendedTextMessage?.contextInfo).toMatchObject({ stanzaId: asked.id, participant: ben.lid });
  await fake.waitFor(() => reactionsIn(ben.received).length === 2);
  expect(reactionsIn(ben.received)).toEqual([
    { id: asked.id, emoji: '👀' },
    { id: asked.id, emoji: '' },
  ]);
  const given = JSON.stringify(scene.model.requests.at(-2)?.body?.messages.at(-1));
  expect(given).toContain('we need milk');
  expect(given).toContain('@Pinch what do we need?');
});

test('a mention of somebody else is a name; the name in the answer is a mention', async () => {
  const text = `${family.mention('me')} ask ${family.mention(ben)} to buy it`;
  scene.model.push({ text: '@Ben, **@Ben**: please buy milk. `@Ben` and @Olga.example stay.' });
  await olga.says(text, { to: family, mentions: ['me', ben] });
  const mention = family.mention(ben);
  const answer = `${mention}, *${mention}*: please buy milk. \`@Ben\` and @Olga.example stay.`;
  const { message } = await fake.untilSent((sent) => sent.text === answer);
  expect(message.extendedTextMessage?.contextInfo?.mentionedJid).toEqual([ben.lid]);
  expect(lastUserText()).toContain('@Pinch ask @Ben to buy it');
});

test('a document from before the group was registered comes along with a question about it', async () => {
  const bytes = Buffer.from('Tea costs 3 euros\n');
  const office = fake.group({ subject: 'Office', members: [olga, ben], addressing: 'lid' });
  const offer = fake.media.offer('document', bytes, { fileName: 'offer.txt', mimetype: 'text/plain' });
  const { id } = await ben.says({ message: offer }, { to: office });
  await fake.untilConfirmed();
  await olga.says('/register office', { to: office });
  await fake.untilSent((sent) => sent.to === office.id);
  scene.model.push(bash('cat inbox/*-offer.txt'), { text: 'Three euros.' });
  const contextInfo = {
    mentionedJid: [`${family.mention('me').slice(1)}@lid`],
    stanzaId: id,
    participant: ben.lid,
    quotedMessage: offer,
  };
  const question = { extendedTextMessage: { text: `${office.mention('me')} what does it cost?`, contextInfo } };
  await olga.says({ message: question }, { to: office });
  await fake.untilSent((sent) => sent.text === 'Three euros.');
  expect(lastUserText()).toContain('Tea costs 3 euros');
  expect(JSON.stringify(scene.model.requests.at(-1)?.body?.messages)).toContain('[document: offer.txt]');
});

test('a command that is passed on is no command, and calls nobody', async () => {
  const forward = (text: string, more = {}) => ({
    message: { extendedTextMessage: { text, contextInfo: { isForwarded: true, forwardingScore: 5, ...more } } },
  });
  const calls = scene.model.requests.length;
  await olga.says(
    forward(`${family.mention('me')} /stop`, { mentionedJid: [`${family.mention('me').slice(1)}@lid`] }),
    { to: family },
  );
  await fake.untilConfirmed();
  scene.model.push({ text: 'Somebody wants me to stop.' });
  await olga.says(forward('/stop'));
  await fake.untilSent((sent) => sent.text === 'Somebody wants me to stop.');
  expect(lastUserText()).toContain('<forwarded>/stop</forwarded>');
  expect(scene.model.requests).toHaveLength(calls + 1);
});

test('a question is answered with its number, also by a reply to it', async () => {
  const ask = {
    content: [{ type: 'tool_use' as const, name: 'ask', input: { question: 'Tea?', choices: ['Green', 'Black'] } }],
  };
  scene.model.push(ask, { text: 'I asked.' });
  await olga.says('order tea');
  const question = await fake.untilSent((sent) => /^Tea\?\s+1. Green\s+2. Black$/.test(sent.text));
  await fake.untilSent((sent) => sent.text === 'I asked.');
  scene.model.push({ text: 'Black it is.' });
  await olga.says('2', { replyTo: { id: question.id, by: 'me', text: 'a lie' } });
  await fake.untilSent((sent) => sent.text === 'Black it is.');
  expect(lastUserText()).toMatch(/Tea\?.*Black.*2/);
  expect(lastUserText()).not.toContain('a lie');
});

test('kill -9 between send and acknowledgement: the person reads one message', async () => {
  // What is not acknowledged must be the answer.
  await scene.daemon.api('PATCH', `/api/chats/whatsapp:${olga.phone}`, { progress: 'off' });
  fake.faults.nextAck({ never: true });
  scene.model.push({ text: 'once only' });
  await olga.says('say it once');
  await fake.untilSent((sent) => sent.text === 'once only');
  await scene.daemon.kill('SIGKILL');
  scene.daemon = await startDaemon({ home, env: { ...scene.env, ...env } });
  await untilOpen();
  const again = () => fake.sent.find((sent) => sent.text === 'once only' && sent.stanzas === 2);
  await fake.waitFor(() => again() !== undefined);
  expect(olga.received.filter(({ text }) => text === 'once only')).toHaveLength(1);
});

test('what was written while Pinch was off is answered when it is back', async () => {
  await scene.daemon.kill('SIGTERM');
  await olga.says('are you there?');
  scene.model.push({ text: 'Back again.' });
  scene.daemon = await startDaemon({ home, env: { ...scene.env, ...env } });
  await fake.untilSent((sent) => sent.text === 'Back again.');
});
