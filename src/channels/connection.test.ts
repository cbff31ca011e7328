// The frame that channels put around their connection, with a platform of promises and a clock that the test turns.
import { expect, test } from 'vitest';
import { createChannelHost } from '../../test/fakes/channel-host.js';
import { createFakeClock } from '../../test/fakes/clock.js';
import { ChannelError } from './channel.js';
import { createConnection } from './connection.js';

const asChannelError = (error: unknown): ChannelError =>
  error instanceof ChannelError ? error : new ChannelError('network', String(error));

/** A connection whose attempts the test opens and breaks by hand. */
function setUp() {
  const host = createChannelHost();
  const clock = createFakeClock();
  const connection = createConnection({ ...host.deps, clock: { ...clock, random: () => 1 } }, asChannelError);
  const attempts: { opened(account: string): void; fail(error: unknown): void }[] = [];
  const start = () =>
    connection.start(
      (opened) =>
        new Promise((_resolve, reject) => {
          attempts.push({ opened, fail: reject });
          connection.receiving.addEventListener('abort', () => reject(connection.receiving.reason));
        }),
    );
  const latest = () => {
    const attempt = attempts.at(-1);
    if (!attempt) throw new Error('nobody connects');
    return attempt;
  };
  const fail = async (error: unknown) => {
    latest().fail(error);
    await clock.advance(0);
  };
  const states = () => host.states.map(({ state, detail }) => `${state} ${detail}`.trim());
  return { connection, clock, attempts, start, latest, fail, states };
}

/** A call that the test ends by hand. */
function createCall() {
  let finish = (_id: string): void => undefined;
  const id = new Promise<string>((resolve) => {
    finish = resolve;
  });
  return { run: () => id, finish };
}

test('a connection that drops comes back after pauses that grow, up to a minute', async () => {
  const { clock, attempts, start, latest, fail, states } = setUp();
  start();
  latest().opened('@Pinch');
  for (const ms of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    const before = attempts.length;
    await fail('gone');
    await clock.advance(ms - 1);
    expect(attempts).toHaveLength(before);
    await clock.advance(1);
    expect(attempts).toHaveLength(before + 1);
  }
  latest().opened('@Pinch');
  await fail('gone');
  await clock.advance(1_000);
  expect(attempts).toHaveLength(10);
  expect(states()).toEqual([
    'connecting',
    'open @Pinch',
    ...Array(8).fill('reconnecting gone'),
    'open @Pinch',
    'reconnecting gone',
  ]);
});

test('a platform that asks for a longer pause gets it', async () => {
  const { clock, attempts, start, fail } = setUp();
  start();
  await fail(new ChannelError('retry', 'slow down', { retryAfterMs: 90_000 }));
  await clock.advance(89_999);
  expect(attempts).toHaveLength(1);
  await clock.advance(1);
  expect(attempts).toHaveLength(2);
});

test('an error that needs a person is shown as such, and it is looked whether they put it right', async () => {
  const { clock, attempts, start, latest, fail, states } = setUp();
  start();
  await fail(new ChannelError('network', 'wrong password', { lookAgainMs: 600_000 }));
  await clock.advance(599_999);
  expect(attempts).toHaveLength(1);
  await clock.advance(1);
  latest().opened('@Pinch');
  expect(states()).toEqual(['connecting', 'blocked wrong password', 'open @Pinch']);
});

test('stopped while it connects, and while it waits to connect, nothing connects any more', async () => {
  const connecting = setUp();
  connecting.start();
  await connecting.connection.stop();
  const waiting = setUp();
  waiting.start();
  await waiting.fail('gone');
  await waiting.connection.stop();
  for (const { clock, attempts, start } of [connecting, waiting]) {
    start();
    await clock.advance(3_600_000);
    expect(attempts).toHaveLength(1);
  }
  expect(connecting.states()).toEqual(['connecting', 'stopped']);
  expect(waiting.states()).toEqual(['connecting', 'reconnecting gone', 'stopped']);
});

test('stopped before it was started, it stays stopped', async () => {
  const { connection, start, attempts, states } = setUp();
  await Promise.all([connection.stop(), connection.stop()]);
  start();
  expect({ attempts, states: states() }).toEqual({ attempts: [], states: ['stopped'] });
});

test('what a dead connection still says changes nothing', async () => {
  const { connection, clock, start, latest, fail, states } = setUp();
  start();
  await fail('gone');
  latest().opened('@Pinch');
  await connection.stop();
  latest().opened('@Pinch');
  await fail('too late');
  await clock.advance(3_600_000);
  expect(states()).toEqual(['connecting', 'reconnecting gone', 'stopped']);
});

test('a send that is under way may end, but not hold up the stop for ever; a new one is refused', async () => {
  const { connection, clock } = setUp();
  const [quick, slow] = [createCall(), createCall()];
  const sent = connection.send(quick.run);
  void connection.send(slow.run);
  const stopped = connection.stop();
  const refused = connection.send(createCall().run);
  await expect(refused).rejects.toMatchObject({ kind: 'network', message: 'the channel is stopped' });
  quick.finish('7');
  expect(await sent).toEqual({ platformId: '7' });
  await clock.advance(2_999);
  expect([connection.receiving.aborted, connection.sending.aborted]).toEqual([true, false]);
  await clock.advance(1);
  await stopped;
  expect(connection.sending.aborted).toBe(true);
});

test('a send that fails says so in the words of the contract', async () => {
  const { connection } = setUp();
  const failed = connection.send(async () => {
    throw new Error('ECONNRESET');
  });
  await expect(failed).rejects.toMatchObject({ name: 'ChannelError', kind: 'network', message: 'Error: ECONNRESET' });
});
