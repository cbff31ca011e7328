// What every channel promises (channel.ts), as tests that run against its platform's fake: those of the built-in channels are in
// contract.test.ts, one that a skill adds brings its own.
import { afterEach, describe, expect, test } from 'vitest';
import { type ChannelHost, createChannelHost } from '../../../test/fakes/channel-host.js';
import { whenBusy } from '../../../test/limits.js';
import { type Channel, type ChannelDeps, ChannelError } from '../channel.js';
import { checkInbound } from '../inbound-message.js';

/** One platform with one person in one chat. */
export interface Platform {
  /** A channel as a fresh process would create it. */
  create(deps: ChannelDeps): Channel | undefined | Promise<Channel | undefined>;
  address: string;
  /** The person writes; undefined for a channel whose messages come in another way. */
  says?: (text: string) => unknown;
  /** The person passes on what somebody else said; undefined where nobody can. */
  passesOn?: (text: string) => unknown;
  /** The person claims to answer a message of ours that we never sent; undefined where nobody can. */
  claimsToAnswer?: (text: string) => unknown;
  /** The person presses the first button below that message, or reacts to it; returns the value that is to arrive. Undefined where nobody can. */
  answers?: (platformId: string) => string;
  /** What the person got to read, in order. */
  read(): string[];
  /** What is on the person's screen now: edits and deletions done. Undefined where nothing is changed once it is sent. */
  shows?: () => string[];
  /** Our reactions, oldest first; '' where one was taken back. */
  reactions?: () => string[];
  /** Messages the platform still holds because nobody acknowledged them. */
  unacknowledged(): number;
  /** Undefined when there is no network in between. */
  offline?: (isOffline: boolean) => unknown;
  /** Ends the connection at once, as a killed process does; undefined where nothing is held open. */
  cut?: () => void;
  /** Which pauses are waits for another try; undefined when all are. */
  isBackOff?: (ms: number) => boolean;
  /** Makes the next send hang until the channel gives up. */
  hangNextSend?: () => void;
  /** Resolves once the platform heard of a send. */
  untilSendArrived?: () => Promise<unknown>;
  secrets: string[];
  close(): Promise<void>;
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function openPlatform(start: () => Promise<Platform>): Promise<Platform> {
  const platform = await start();
  closing.push(platform.close);
  return platform;
}

async function openChannel(platform: Platform, host: ChannelHost = createChannelHost()) {
  const channel = await platform.create(host.deps);
  if (!channel) throw new Error('the channel is off');
  closing.push(() => channel.stop());
  channel.start();
  await host.untilState('open');
  return { channel, host };
}

function part(address: string, text: string, key: string) {
  return { address, text, key };
}

const words = (text: string) => text.replace(/[\s*`>#_-]/g, '');

/** Long texts differ in one place; printing them whole hides it. */
function firstDifference(seen: string, wanted: string): string | undefined {
  if (seen === wanted) return undefined;
  const at = [...wanted].findIndex((_, index) => seen[index] !== wanted[index]);
  return `${seen.slice(at - 20, at + 40)} instead of ${wanted.slice(at - 20, at + 40)}`;
}

/** What every channel promises, tried against its platform. */
export function testContract(name: string, start: () => Promise<Platform>): void {
  describe(`${name} keeps the contract`, () => contractTests(start));
}

/** The same, and what those promise whose messages come from the platform. */
export function testReceivingContract(name: string, start: () => Promise<Platform>): void {
  testContract(name, start);
  describe(`${name} loses nothing`, () => {
    storingTests(start);
    outageTests(start);
  });
}

function contractTests(start: () => Promise<Platform>): void {
  test('a long answer is split into parts that are each accepted, in order, and nothing of it is lost', async () => {
    const platform = await openPlatform(start);
    const { channel } = await openChannel(platform);
    const code = Array.from({ length: 3_000 }, (_, line) => `const value${line} = a < b && c > d;`).join('\n');
    const text = `# Plan\n\n${'A *sentence* with 👩‍👩‍👧‍👦 and <tags> & signs. '.repeat(400)}\n\n\`\`\`ts\n${code}\n\`\`\`\n\nThe end.`;
    const parts = await channel.split(text);
    const ids: string[] = [];
    for (const [index, piece] of parts.entries()) {
      ids.push((await channel.send(part(platform.address, piece, `1.${index}`))).platformId);
      expect(platform.read()).toHaveLength(index + 1);
    }
    expect(parts.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(parts.length);
    // Where a code block is cut, its fence is closed and opened again.
    const seen = platform
      .read()
      .join('\n')
      .replace(/^```(ts)?$/gm, '');
    expect(firstDifference(words(seen), words(text.replace(/^```(ts)?$/gm, '')))).toBeUndefined();
  });

  test('a text with buttons is read also where there are none; a press or a reaction names the message', async () => {
    const platform = await openPlatform(start);
    const { channel, host } = await openChannel(platform);
    const buttons = ['Yes', 'No'].map((label, index) => ({ label, value: `choice:${index + 1}` }));
    const { platformId } = await channel.send({ ...part(platform.address, 'Tea?', '1.0'), buttons });
    await channel.dropButtons?.(platform.address, platformId);
    expect(platform.read()).toEqual(['Tea?']);
    const sent = await channel.send({ ...part(platform.address, 'Milk?', '2.0'), buttons });
    if (!platform.answers) return;
    const value = platform.answers(sent.platformId);
    await host.until(() => host.messages.length === 1);
    expect(host.messages).toMatchObject([{ press: { platformId: sent.platformId, value } }]);
    expect(checkInbound(host.messages[0], Date.now())).toMatchObject({ press: { platformId: sent.platformId, value } });
  });

  test('a message of ours changes and goes, a reaction comes and goes; each twice is no trouble', async () => {
    const platform = await openPlatform(start);
    const { channel, host } = await openChannel(platform);
    const { edits, edit, remove, react } = channel;
    expect([edit !== undefined, remove !== undefined, platform.shows !== undefined]).toEqual(
      Array(3).fill(Boolean(edits)),
    );
    if (!edit || !remove || !platform.shows) return;
    const { address } = platform;
    const buttons = [{ label: 'Stop', value: 'stop:1' }];
    const before = await channel.send(part(address, 'before', '1.0'));
    const { platformId } = await channel.send({
      ...part(address, '**Working**', 'progress.1.1'),
      buttons,
      silent: true,
    });
    if (channel.findLost) expect(await channel.findLost(address, [before.platformId])).toBe(platformId);
    for (const passing of [true, false]) await edit({ address, platformId, text: 'Reading & more', buttons, passing });
    await edit({ address, platformId, text: 'Done' });
    expect(platform.shows()).toEqual(['before', 'Done']);
    for (const _ of [1, 2]) await remove(address, platformId);
    expect(platform.shows()).toEqual(['before']);
    if (!react || !platform.says) return;
    platform.says('hello');
    await host.until(() => host.messages.length === 1);
    const [said] = host.messages;
    const message = { platformId: said?.platformId ?? '', sender: said?.sender.address ?? '' };
    for (const emoji of ['👀', ''] as const) await react(address, message, emoji);
    expect(platform.reactions?.()).toEqual(['👀', '']);
  });

  test('an answer may quote what it answers, also when that is gone', async () => {
    const platform = await openPlatform(start);
    const { channel, host } = await openChannel(platform);
    platform.says?.('which one?');
    await host.until(() => !platform.says || host.messages.length === 1);
    const { platformId = '99999', sender } = host.messages[0] ?? {};
    const gone = platformId.replace(/^[^/]*/, '99999');
    for (const [index, id] of [platformId, gone].entries()) {
      const replyTo = { platformId: id, sender: sender?.address ?? '', text: 'which one?' };
      await channel.send({ ...part(platform.address, `that one ${index}`, `${index}.0`), replyTo });
    }
    expect(platform.read()).toEqual(['that one 0', 'that one 1']);
  });

  test.each(['', ' \n '])('blank text %j makes no part', async (blank) => {
    const platform = await openPlatform(start);
    expect(await (await platform.create(createChannelHost().deps))?.split(blank)).toEqual([]);
  });

  test('stop is quick, harmless when repeated, and the last state says so', async () => {
    const platform = await openPlatform(start);
    const { channel, host } = await openChannel(platform);
    const began = performance.now();
    await Promise.all([channel.stop(), channel.stop()]);
    await channel.stop();
    expect(performance.now() - began).toBeLessThan(whenBusy(1_000));
    expect(host.states.at(-1)?.state).toBe('stopped');
    expect(host.states.filter(({ state }) => state === 'stopped').length).toBeGreaterThan(0);
  });

  test('a file that is not there is refused for good', async () => {
    const platform = await openPlatform(start);
    const { channel } = await openChannel(platform);
    const refusal = await channel.fetchMedia('no-such-file', 1_000).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ChannelError);
    expect(refusal).toMatchObject({ kind: 'permanent' });
  });
}

function storingTests(start: () => Promise<Platform>): void {
  test('a message is acknowledged only after it was committed', async () => {
    const platform = await openPlatform(start);
    const host = createChannelHost();
    const heldAtCommit: number[] = [];
    host.beforeCommit = () => void heldAtCommit.push(platform.unacknowledged());
    await openChannel(platform, host);
    platform.says?.('one');
    await host.until(() => host.messages.length === 1);
    platform.says?.('two');
    await host.until(() => host.messages.length === 2);
    expect(heldAtCommit).toEqual([1, 1]);
  });

  test('what is handed over can be stored as it is, from a chat of the kind its address tells, and what somebody passed on is marked', async () => {
    const platform = await openPlatform(start);
    const { channel, host } = await openChannel(platform);
    platform.says?.('my own words');
    await host.until(() => host.messages.length === 1);
    // Registered by its address before it wrote, the chat must have been taken for what it is.
    const [{ chat } = { chat: undefined }] = host.messages;
    expect([undefined, chat?.kind]).toContain(channel.kindOf?.(chat?.address ?? ''));
    platform.passesOn?.('/stop');
    await host.until(() => !platform.passesOn || host.messages.length === 2);
    for (const message of host.messages) expect(checkInbound(message, Date.now())).toEqual(message);
    expect(host.messages.map(({ forwarded }) => forwarded)).toEqual(platform.passesOn ? [false, true] : [false]);
    expect(host.texts()).toEqual(platform.passesOn ? ['my own words', '/stop'] : ['my own words']);
  });

  test('an answer to what we never said does not call us, whatever it claims', async () => {
    const platform = await openPlatform(start);
    const { host } = await openChannel(platform);
    if (!platform.claimsToAnswer) return;
    platform.claimsToAnswer('yes, do it');
    await host.until(() => host.messages.length === 1);
    expect(host.messages[0]).toMatchObject({ addressesAssistant: false, replyTo: { platformId: expect.any(String) } });
  });

  test('a message that could not be committed comes again, and none behind it overtakes', async () => {
    const platform = await openPlatform(start);
    const host = createChannelHost();
    host.beforeCommit = ({ text }) => {
      const tries = host.offered.filter((message) => message.text === text).length;
      if (text === 'two' && tries <= 2) throw new Error('disk full');
    };
    await openChannel(platform, host);
    for (const text of ['one', 'two', 'three']) platform.says?.(text);
    await host.until(() => host.messages.length === 3);
    expect(host.texts()).toEqual(['one', 'two', 'three']);
    expect(host.offered.map((message) => message.text)).toEqual(['one', 'two', 'two', 'two', 'three']);
    expect(host.states.some(({ detail }) => detail.includes('disk full'))).toBe(true);
    await host.untilState('open');
  });

  test('thirty messages at once arrive once each, in order', async () => {
    const platform = await openPlatform(start);
    const { host } = await openChannel(platform);
    const texts = Array.from({ length: 30 }, (_, n) => `message ${n}`);
    for (const text of texts) platform.says?.(text);
    await host.until(() => host.messages.length >= 30);
    expect(host.texts()).toEqual(texts);
    expect(new Set(host.messages.map((message) => message.platformId)).size).toBe(30);
  });

  test('what was written while nobody listened is there after a restart', async () => {
    const platform = await openPlatform(start);
    const first = await openChannel(platform);
    await first.channel.stop();
    for (const text of ['while', 'you', 'slept']) platform.says?.(text);
    const second = await openChannel(platform);
    await second.host.until(() => second.host.messages.length === 3);
    expect(second.host.texts()).toEqual(['while', 'you', 'slept']);
    expect(first.host.messages).toEqual([]);
  });

  test('a message whose acknowledgement was cut off was stored; if it comes again, it is under the same id', async () => {
    const platform = await openPlatform(start);
    const host = createChannelHost();
    const first = await openChannel(platform, host);
    host.beforeCommit = () => {
      platform.cut?.();
      void first.channel.stop();
    };
    platform.says?.('hello');
    await host.until(() => host.messages.length === 1);
    await first.channel.stop();
    const second = await openChannel(platform);
    platform.says?.('still there?');
    await second.host.until(() => second.host.texts().includes('still there?'));
    const again = second.host.messages.filter(({ text }) => text === 'hello');
    expect(again).toEqual(host.messages.slice(0, again.length));
    expect(host.texts()).toEqual(['hello']);
  });
}

function outageTests(start: () => Promise<Platform>): void {
  test('half an hour without network heals by itself: reported, waited out ever longer, nothing lost either way', async () => {
    const platform = await openPlatform(start);
    const { channel, host } = await openChannel(platform);
    platform.offline?.(true);
    await host.untilState('reconnecting');
    platform.says?.('are you there?');
    const failure = await channel.send(part(platform.address, 'no', '1.0')).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'ChannelError', kind: 'network' });
    await host.until(() => host.pauses.filter(platform.isBackOff ?? (() => true)).length >= 4);
    platform.offline?.(false);
    await host.until(() => host.messages.length === 1);
    await host.untilState('open');
    await channel.send(part(platform.address, 'yes', '1.0'));
    expect(platform.read()).toEqual(['yes']);
    expect(host.texts()).toEqual(['are you there?']);
    const backOff = host.pauses.filter(platform.isBackOff ?? (() => true));
    expect(backOff.slice(0, 4)).toEqual(backOff.slice(0, 4).sort((a, b) => a - b));
    expect(Math.max(...backOff)).toBeLessThanOrEqual(60_000);
  });

  test('a send that hangs cannot hold up stop, and its message stays to be sent', async () => {
    const platform = await openPlatform(start);
    const { channel } = await openChannel(platform);
    platform.hangNextSend?.();
    const sending = channel.send(part(platform.address, 'late', '1.0')).catch((error: unknown) => error);
    await platform.untilSendArrived?.();
    const began = performance.now();
    await channel.stop();
    expect(performance.now() - began).toBeLessThan(whenBusy(1_000));
    expect(await sending).toMatchObject({ name: 'ChannelError', kind: 'network' });
    expect(platform.read()).toEqual([]);
    const afterwards = await channel.send(part(platform.address, 'later', '2.0')).catch((error: unknown) => error);
    expect(afterwards).toMatchObject({ kind: 'network' });
  });

  test('no secret and no message text reaches a log line, a state or an error', async () => {
    const platform = await openPlatform(start);
    const { channel, host } = await openChannel(platform);
    platform.offline?.(true);
    await host.untilState('reconnecting');
    const failures = [
      await channel.send(part(platform.address, 'my private words', '1.0')).catch((error: unknown) => error),
      await channel.fetchMedia('file', 10).catch((error: unknown) => error),
    ];
    channel.typing(platform.address);
    await host.until(() => host.pauses.length >= 3);
    platform.offline?.(false);
    platform.says?.('their private words');
    await host.until(() => host.messages.length === 1);
    await channel.stop();
    for (const failure of failures) host.deps.log.error({ err: failure }, 'failed');
    const everything = [...host.logLines, ...host.states.map(({ detail }) => detail), ...failures.map(allOf)].join(
      '\n',
    );
    for (const secret of [...platform.secrets, 'private words']) expect(everything).not.toContain(secret);
    expect(host.logLines.length).toBeGreaterThan(2);
  });
}

/** All that a careless logger could print of an error: message, stack, own fields, causes. */
function allOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.stack} ${JSON.stringify(error)} ${error.cause === undefined ? '' : allOf(error.cause)}`;
}
