// The chat over HTTP and the web channel: sent once, read back, followed live without a gap.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type PageFixture, startPageFixture } from '../../test/e2e/page-fixture.js';
import { createChannelHost } from '../../test/fakes/channel-host.js';
import { createFakeClock, type FakeClock } from '../../test/fakes/clock.js';
import { ChannelError, type ChannelState } from '../channels/channel.js';
import { web } from '../channels/web.js';
import { unwatched } from '../core/begun.js';

let home: PageFixture;
let clock: FakeClock;
let open: AbortController;
beforeEach(async () => {
  clock = createFakeClock();
  home = await startPageFixture({ clock });
  open = new AbortController();
});
afterEach(async () => {
  open.abort();
  await home.close();
});

const send = (text: string, id?: string) => home.api('POST', '/api/chat', id === undefined ? { text } : { text, id });

interface Frame {
  event: string;
  id: string;
  data: string;
}

/** Follows the stream; `next` waits for the next event of that name, `comment` for the next comment. */
async function follow(path = '/api/chat/stream', headers: Record<string, string> = {}) {
  const answer = await fetch(home.url + path, {
    headers: { authorization: `Bearer ${home.token}`, ...headers },
    signal: open.signal,
  });
  expect(answer.headers.get('content-type')).toContain('text/event-stream');
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  async function block(): Promise<string> {
    while (!text.includes('\n\n')) {
      const piece = await reader?.read();
      if (!piece || piece.done) throw new Error('the stream ended');
      text += piece.value;
    }
    const end = text.indexOf('\n\n');
    const whole = text.slice(0, end);
    text = text.slice(end + 2);
    return whole;
  }
  const field = (lines: string, name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(lines)?.[1] ?? '';
  return {
    async next(event: string): Promise<Frame> {
      for (;;) {
        const lines = await block();
        if (field(lines, 'event') === event) return { event, id: field(lines, 'id'), data: field(lines, 'data') };
      }
    },
    async comment(): Promise<string> {
      for (;;) {
        const lines = await block();
        if (lines.startsWith(':')) return lines;
      }
    },
    cancel: () => reader?.cancel(),
  };
}

describe('sending', () => {
  test('stores the message and starts a run', async () => {
    const { status, body } = await send('hello');
    expect(status).toBe(200);
    const run = home.store.runs.list('ready', 1)[0];
    expect(body).toEqual({ messageId: expect.any(Number), runId: run?.id });
    expect(home.store.messages.ofRun(run?.id ?? 0)).toMatchObject([{ text: 'hello' }]);
  });

  test('again with the same id, after the answer was lost, stores it once', async () => {
    const first = await send('hello', 'id-1');
    const again = await send('hello', 'id-1');
    expect(again).toMatchObject({ status: 200, body: { messageId: expect.any(Number) } });
    expect(again.body).toMatchObject({ messageId: Object(first.body).messageId });
    expect(home.store.messages.latest(home.webChat().id, 10)).toHaveLength(1);
    expect(home.store.runs.list(null, 10)).toHaveLength(1);
  });
});

test('the history gives replies as safe HTML and what the owner typed as text', async () => {
  expect((await home.api('GET', '/api/chat/messages')).body).toEqual({ messages: [] });
  await send('<b>hi</b>', 'mine');
  const id = home.reply('<i>ho</i>');
  const { body } = await home.api('GET', '/api/chat/messages');
  expect(body).toMatchObject({
    messages: [
      { direction: 'in', sender: 'Owner', text: '<b>hi</b>', html: null, clientId: 'mine', at: clock.now() },
      {
        id,
        direction: 'out',
        sender: 'Pinch',
        text: '<i>ho</i>',
        html: '<p>&lt;i&gt;ho&lt;/i&gt;</p>',
        clientId: null,
      },
    ],
  });
  expect((await home.api('GET', `/api/chat/messages?after=${id - 1}`)).body).toMatchObject({ messages: [{ id }] });
});

describe('buttons', () => {
  const choices = [
    { label: 'Tea', value: 'choice:1' },
    { label: 'Milk', value: 'choice:2' },
  ];
  const press = (messageId: number, value: string) => home.api('POST', '/api/chat/press', { messageId, value });
  const shown = z.object({
    messages: z.array(z.object({ text: z.string(), buttons: z.array(z.object({ value: z.string() })) })),
  });
  async function shownButtons() {
    const { body } = await home.api('GET', '/api/chat/messages');
    return shown.parse(body).messages.flatMap(({ buttons }) => buttons.map(({ value }) => value));
  }

  test('are shown below what we sent until one is pressed, which says its words and starts a run', async () => {
    await send('what is there?');
    const id = home.reply('Which?', choices);
    expect(await shownButtons()).toEqual(['choice:1', 'choice:2']);
    expect(await press(id, 'choice:2')).toMatchObject({ status: 200, body: { messageId: expect.any(Number) } });
    expect(await shownButtons()).toEqual([]);
    const { messages } = Object((await home.api('GET', '/api/chat/messages')).body);
    expect(messages.at(-1)).toMatchObject({
      direction: 'in',
      text: 'Milk',
      sender: 'Owner',
      outboxId: messages.at(-2).outboxId,
    });
    const run = home.store.runs.list('ready', 1)[0];
    expect(home.store.messages.ofRun(run?.id ?? 0).at(-1)).toMatchObject({ text: 'Milk', role: 'owner' });
  });

  test('count once: two presses at once, one that comes again, another one afterwards', async () => {
    await send('what is there?');
    const id = home.reply('Which?', choices);
    const answers = await Promise.all([press(id, 'choice:1'), press(id, 'choice:2'), press(id, 'choice:1')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
    expect(await press(id, 'choice:1')).toMatchObject({ status: 409, body: { error: { code: 'not_open' } } });
    const texts = home.store.messages.latest(home.webChat().id, 10).map(({ text }) => text);
    expect(texts).toHaveLength(3);
  });

  test.each([
    ['a value that none has', (id: number) => press(id, 'choice:3'), 409],
    ['a message without any', (id: number) => press(id - 1, 'choice:1'), 409],
    ['no message', () => press(9_999, 'choice:1'), 409],
    ['nonsense', () => home.api('POST', '/api/chat/press', { messageId: 'x' }), 400],
  ])('%s cannot be pressed', async (_name, act, status) => {
    await send('what is there?');
    const id = home.reply('Which?', choices);
    const runs = home.store.runs.list(null, 9).length;
    expect((await act(id)).status).toBe(status);
    expect(await shownButtons()).toHaveLength(2);
    expect(home.store.runs.list(null, 9)).toHaveLength(runs);
  });

  test("another chat's cannot be pressed from here", async () => {
    await send('hi');
    const { id: chatId } = home.store.groups.seenChat({
      channel: 'telegram',
      address: '1',
      kind: 'direct',
      title: 'x',
      now: 1,
    });
    home.store.groups.assignChat(chatId, home.webChat().groupId ?? 0);
    home.store.outbox.add({ key: 'k', chatId, runId: null, text: 'Which?', buttons: choices, now: 1 });
    const outboxId = home.store.outbox.list(1)[0]?.id ?? null;
    const by = { senderId: null, senderName: 'Pinch', sentAt: 1, now: 1, outboxId };
    const id = home.store.messages.add({ chatId, direction: 'out', platformId: 'p', text: 'Which?', ...by });
    expect((await press(id ?? 0, 'choice:1')).status).toBe(409);
    expect(home.store.outbox.openButtons(chatId, 'p')).toEqual(choices);
  });
});

describe('following', () => {
  test('shows messages of both sides as they are stored', async () => {
    const stream = await follow();
    await stream.next('status');
    await send('hello');
    expect(JSON.parse((await stream.next('message')).data)).toMatchObject({ direction: 'in', text: 'hello' });
    const id = home.reply('hi');
    expect(await stream.next('message')).toMatchObject({ id: String(id), data: expect.stringContaining('<p>hi</p>') });
  });

  test('goes on where it was cut, in order, whatever happened in between', async () => {
    await send('first');
    const seen = home.reply('seen');
    const missed = Array.from({ length: 300 }, (_, n) => {
      home.intake.receiveFromPage(`missed ${n}`);
      return `missed ${n}`;
    });
    const stream = await follow('/api/chat/stream?after=0', { 'last-event-id': String(seen) });
    const got: string[] = [];
    for (const _ of missed) got.push(JSON.parse((await stream.next('message')).data).text);
    expect(got).toEqual(missed);
  });

  test('begins with the latest history when it is not told where', async () => {
    for (let n = 0; n < 205; n += 1) home.intake.receiveFromPage(`old ${n}`);
    const stream = await follow();
    for (let n = 5; n < 205; n += 1) expect(JSON.parse((await stream.next('message')).data).text).toBe(`old ${n}`);
    await stream.next('status');
    await send('new');
    expect(JSON.parse((await stream.next('message')).data).text).toBe('new');
  });

  test('says when a run waits, works and has ended', async () => {
    const stream = await follow();
    const chat = async () => JSON.parse((await stream.next('status')).data).chat;
    expect(await chat()).toEqual({ working: 0, waiting: 0 });
    await send('hello');
    expect(await chat()).toEqual({ working: 0, waiting: 1 });
    const { end, run } = home.work();
    const progress = { run: run.id, since: clock.now(), step: 'Thinking', words: '', todo: [] };
    expect(await chat()).toEqual({ working: 1, waiting: 0, progress });
    const input = JSON.stringify({ path: 'inbox/report.pdf' });
    home.store.events.add(run.id, clock.now(), 'tool_started', { tool: 'read', id: 't1', input });
    home.signals.emit('run:event', run.id);
    expect(await chat()).toMatchObject({ progress: { step: 'Reading report.pdf' } });
    end('done');
    expect(await chat()).toEqual({ working: 0, waiting: 0 });
  });

  test('tells what changed without being asked, and nothing when nothing did', async () => {
    const stream = await follow();
    const status = async () => JSON.parse((await stream.next('status')).data);
    expect(await status()).toMatchObject({ assistantName: 'Pinch', stopped: false });
    home.state.status.engine = { state: 'down', detail: 'gone' };
    home.signals.emit('daemon');
    expect(await status()).toMatchObject({ engine: { state: 'down', detail: 'gone' } });
    home.state.status.text = 'up a minute more';
    home.signals.emit('daemon');
    await send('the next change');
    expect(await status()).toMatchObject({ chat: { waiting: 1 } });
  });

  test('sends a sign of life every twenty seconds', async () => {
    const stream = await follow();
    await stream.next('status');
    let came = false;
    const comment = stream.comment().finally(() => {
      came = true;
    });
    while (!came) await clock.advance(20_000);
    expect(await comment).toBe(': still here');
  });

  test('a page that left leaves nothing behind', async () => {
    const before = home.signals.listenerCount('message');
    const streams = await Promise.all([follow(), follow(), follow()]);
    expect(home.signals.listenerCount('message')).toBe(before + 3);
    for (const stream of streams) await stream.cancel();
    open.abort();
    await expect.poll(() => home.signals.listenerCount('message')).toBe(before);
    expect(home.signals.listenerCount('daemon')).toBe(0);
  });

  test('too many open pages are told so, and one that closes makes room', async () => {
    const streams = await Promise.all(Array.from({ length: 32 }, () => follow()));
    expect(await home.api('GET', '/api/chat/stream')).toMatchObject({ status: 429 });
    await streams[0]?.cancel();
    await expect.poll(() => home.signals.listenerCount('message')).toBe(31);
    await follow();
  });
});

describe('the web channel', () => {
  const states: ChannelState[] = [];
  const create = (env: Record<string, string>) =>
    web.create(web.env.parse(env), {
      folder: home.dataDir,
      storage: home.store.channelAuth.of('web', clock.now),
      nameOf: () => undefined,
      assistantName: 'Pinch',
      clock,
      log: pino({ level: 'silent' }),
      takeIn: () => true,
      onMessage: () => undefined,
      onDisk: async () => undefined,
      onChatMoved: () => undefined,
      onState: (state) => states.push(state),
    });

  test('is on unless PINCH_PORT is 0', () => {
    expect(create({ PINCH_PORT: '0' })).toBeUndefined();
    expect(create({})).toBeDefined();
    expect(create({ PINCH_PORT: '7462' })).toBeDefined();
  });

  test('accepts a part at once under the name of the part, so that a repeated send stores one message', async () => {
    const channel = create({});
    channel?.start();
    expect(states.at(-1)?.state).toBe('open');
    const part = { address: 'owner', text: 'hi', key: '7.0' };
    expect(await channel?.send(part)).toEqual({ platformId: '7.0' });
    await expect(channel?.fetchMedia('x', 1)).rejects.toThrow(ChannelError);
  });

  test.each([
    ['nothing', '', 0],
    ['what one bubble holds', 'x'.repeat(100_000), 1],
    ['many lines', 'line of text\n'.repeat(20_000), 3],
    ['pairs of code units', '😀'.repeat(60_000), 2],
  ])('splits only what is longer than a bubble: %s', async (_name, text, count) => {
    const parts = (await create({})?.split(text)) ?? [];
    expect(parts).toHaveLength(count);
    const letters = (all: string) => all.replace(/\s/g, '');
    expect(letters(parts.join('')) === letters(text)).toBe(true);
    for (const part of parts) {
      expect(part.length).toBeLessThanOrEqual(100_000);
      expect(Buffer.from(part).toString() === part).toBe(true);
    }
  });
});

test('a message that ended Pinch twice when it was shown is shown as it was written, the others as before', async () => {
  await send('hello', 'a');
  const chat = home.store.groups.chatByAddress('web', 'owner');
  if (!chat) throw new Error('no chat');
  const said = { chatId: chat.id, direction: 'out' as const, senderId: null, senderName: 'Pinch', sentAt: 1, now: 1 };
  const [poison, other] = ['poison', 'other'].map((text) =>
    home.store.messages.add({ ...said, platformId: text, text }),
  );
  home.deps.begun = { ...unwatched, isSetAside: (name) => name === `shown-message ${poison}` };
  const shape = z.object({
    messages: z.array(z.object({ id: z.number(), text: z.string(), html: z.string().nullable() })),
  });
  const { messages } = shape.parse((await home.api('GET', '/api/chat/messages')).body);
  expect(messages.find(({ id }) => id === poison)).toEqual({ id: poison, text: 'poison', html: null });
  expect(messages.find(({ id }) => id === other)?.html).toBe('<p>other</p>');
});

describe('files', () => {
  const headers = () => ({ authorization: `Bearer ${home.token}` });
  const upload = (body: string | Uint8Array<ArrayBuffer>) =>
    fetch(`${home.url}/api/chat/files`, { method: 'POST', headers: headers(), body });

  test('one that is too large, and one that nobody attached, are refused; nothing stays of them', async () => {
    expect((await upload(new Uint8Array(20 * 1024 * 1024 + 1))).status).toBe(413);
    expect(readdirSync(join(home.dataDir, 'files', 'web'))).toEqual([]);
    expect((await fetch(`${home.url}/api/chat/files`, { method: 'POST', body: 'x' })).status).toBe(401);
    for (const ref of ['../../dashboard-token', 'x'.repeat(23), '']) {
      const body = { text: 'look', files: [{ ref, fileName: 'x', mimeType: 'text/plain', sizeBytes: 1 }] };
      expect((await home.api('POST', '/api/chat', body)).status).toBe(400);
    }
  });

  test('a file goes with a message without words, is had again with the token, and by no other number', async () => {
    const kept = z.looseObject({ ref: z.string() }).parse(await (await upload('bytes')).json());
    const file = { ...kept, fileName: '../../a\u0000b.txt', mimeType: 'text/html' };
    const { body } = await home.api('POST', '/api/chat', { text: '', files: [file] });
    const { messageId: id } = z.object({ messageId: z.number() }).parse(body);
    expect(home.store.messages.get(id)?.media).toMatchObject([{ fileName: 'a_b.txt', kind: 'document', sizeBytes: 5 }]);
    const get = (path: string) => fetch(`${home.url}/api/chat/files/${path}`, { headers: headers() });
    expect(await (await get(`${id}/0`)).text()).toBe('bytes');
    for (const path of [`${id}/1`, `${id + 1}/0`]) expect((await get(path)).status).toBe(404);
    expect((await fetch(`${home.url}/api/chat/files/${id}/0`)).status).toBe(401);
  });

  test('what the assistant sent is shown by its name, and had again after the outbox dropped it', async () => {
    await send('send me the report');
    const path = join(home.dataDir, 'report');
    writeFileSync(path, '%PDF');
    const file = { fileName: 'report.pdf', mimeType: 'application/pdf', path: 'out/report.pdf', bytes: 4 };
    home.store.outbox.add({ key: 'f', chatId: home.webChat().id, runId: null, text: 'here', file, now: 1 });
    const outboxId = home.store.outbox.list(1)[0]?.id ?? 0;
    const folder = join(home.dataDir, 'files', 'web');
    const channel = web.create({}, { ...createChannelHost().deps, folder });
    for (const _ of ['once', 'again'])
      await channel?.send({ address: 'owner', text: 'here', key: `${outboxId}.0`, file: { ...file, path } });
    rmSync(path);
    const by = { chatId: home.webChat().id, direction: 'out' as const, senderId: null, senderName: 'Pinch', now: 1 };
    home.store.messages.add({ ...by, platformId: 'x', text: '[file: out/report.pdf] here', sentAt: 1, outboxId });
    const { body } = await home.api('GET', '/api/chat/messages');
    const message = z
      .object({ messages: z.array(z.looseObject({ id: z.number() })) })
      .parse(body)
      .messages.at(-1);
    expect(message).toMatchObject({ text: 'here', files: [{ fileName: 'report.pdf', sizeBytes: 4 }] });
    const answer = await fetch(`${home.url}/api/chat/files/${message?.id}/0`, { headers: headers() });
    expect(await answer.text()).toBe('%PDF');
  });
});
