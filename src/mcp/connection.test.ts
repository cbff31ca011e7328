// A connection to one server, which may do what it wants. The server is a real program.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLoopCheck } from '../../test/fakes/loop-delay.js';
import { whenBusy } from '../../test/limits.js';
import { systemClock } from '../core/clock.js';
import { type Connection, type ConnectionDeps, createConnection } from './connection.js';
import { createParser, type Parser } from './parse.js';
import { type ServerProcess, startHostProcess } from './process.js';
import { blocksOf } from './results.js';
import type { Offer } from './tools.js';
import { createTransport } from './transport.js';

const MB = 1024 * 1024;
const program = join(import.meta.dirname, 'testing', 'server.mjs');
let dir: string;
let parser: Parser;
let connection: Connection;
let processes: ServerProcess[];
let offers: Offer[];
let notices: string[];
let isStopped: boolean;
let now: () => number;
const clock = { ...systemClock, now: () => now() };

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinch-mcp-'));
  [processes, offers, notices, isStopped, now] = [[], [], [], false, systemClock.now];
  parser = createParser(systemClock);
  behave({});
  connection = connect();
});
afterEach(async () => {
  await connection.end();
  parser.close();
  rmSync(dir, { recursive: true, force: true });
});

const behave = (script: object) =>
  writeFileSync(join(dir, 'script.json'), JSON.stringify({ log: join(dir, 'log'), ...script }));
const heard = () => readFileSync(join(dir, 'log'), 'utf8');
function connect(idleMs = 60_000, opening?: ConnectionDeps['open']): Connection {
  return createConnection({
    ...{ name: 'test', clock, log: pino({ enabled: false }), idleMs, stopped: () => isStopped },
    notifyOwner: (_key, text) => notices.push(text),
    async open(over) {
      if (opening) return opening(over);
      const command = ['node', program, join(dir, 'script.json')];
      const process = startHostProcess({ command, env: { TOKEN: 'given' }, dir: join(dir, 'data') }, systemClock);
      processes.push(process);
      return createTransport({ process, clock: systemClock, parser });
    },
    onOffer: (offer) => offers.push(offer),
  });
}
const never = () => new AbortController().signal;
const call = async (tool: string, args: Record<string, unknown> = {}, signal = never()) => {
  const answer = await connection.call({ tool, args, signal, onProgress: () => undefined });
  return { ...answer, blocks: blocksOf(answer) };
};
const textOf = async (tool: string, args = {}) => JSON.stringify((await call(tool, args)).blocks);
const lastError = () => connection.state().lastError;

test('a server is started by its first call, which it answers; its environment holds nothing of ours', async () => {
  process.env.PINCH_TEST_SECRET = 'hidden';
  expect((await call('echo', { text: 'hi' })).blocks).toEqual([{ type: 'text', text: 'you said hi' }]);
  const said = await textOf('env');
  delete process.env.PINCH_TEST_SECRET;
  expect(said).toContain('given');
  expect(said).toContain(join(dir, 'data'));
  expect(said).not.toContain('hidden');
  expect(offers[0]?.tools.map(({ name }) => name)).toContain('echo');
  expect(offers[0]?.isCut).toBe(false);
  expect(heard()).toContain('"capabilities":{}');
  expect(processes).toHaveLength(1);
});

describe('a server that does not come up', () => {
  test.each([
    [
      'exits',
      { mode: 'exit' },
      'it ended with exit code 1; it wrote last: the server says hello on stderr there is no backend',
    ],
    ['prints what is no message', { mode: 'garbage' }, 'it writes what are no messages of the protocol: warning 200'],
  ])('%s', async (_what, script, why) => {
    behave(script);
    await expect(call('echo')).rejects.toThrow('the MCP server test is not ready: it does not run');
    expect(lastError()).toContain(why);
  });

  test('is not tried again at once, and the owner is told when it keeps failing', async () => {
    behave({ mode: 'exit' });
    let later = 0;
    now = () => systemClock.now() + later;
    for (let n = 1; n <= 4; n += 1) {
      await expect(call('echo')).rejects.toThrow('not ready');
      await expect(call('echo')).rejects.toThrow(/it is tried again in \d+ s/);
      expect(processes).toHaveLength(n);
      later += 60_000;
    }
    expect(notices).toEqual([
      expect.stringContaining('The MCP server `test` fails again and again. Reported from there: `it ended'),
    ]);
    behave({});
    expect(await textOf('echo', { text: 'back' })).toContain('you said back');
    expect(lastError()).toBeNull();
  });

  test('that is silent, or whose greeting swallows its first answer, is given up after a while', async () => {
    behave({ mode: 'silent' });
    await expect(call('echo')).rejects.toThrow('not ready');
    expect(lastError()).toContain('it gave no proper answer to the first words; it wrote last: the server says hello');
    await expect(processes[0]?.closed).resolves.toContain('it ended');
  });
});

test('a banner does no harm', async () => {
  behave({ mode: 'banner' });
  expect(await textOf('echo', { text: 1 })).toContain('you said 1');
});

describe('lists of tools', () => {
  test('of several pages are one', async () => {
    behave({ mode: 'pages' });
    await connection.ready();
    expect(offers[0]?.tools.map(({ name }) => name)).toEqual(['page0', 'page1', 'page2', 'page3', 'page4']);
  });

  test.each([
    ['without end', { mode: 'cursor' }, 1],
    ['of 20,000 tools', { mode: 'many' }, 500],
  ])('%s end', async (_what, script, count) => {
    behave(script);
    await connection.ready();
    expect(offers[0]).toMatchObject({ isCut: true });
    expect(offers[0]?.tools).toHaveLength(count);
  });

  test('that change are had anew when the server says so, once', async () => {
    await call('change');
    behave({ tools: [{ name: 'fresh', inputSchema: { type: 'object' } }] });
    await Promise.all([call('change'), call('change')]);
    await expect.poll(() => offers.at(-1)?.tools.map(({ name }) => name)).toContain('fresh');
    expect(offers.length).toBeLessThanOrEqual(3);
  });
});

test('a server that takes its time for a list, and says all along that it changed, is asked for one at a time', async () => {
  await connection.ready();
  behave({ mode: 'unlisted' });
  for (let n = 0; n < 3; n += 1) {
    await call('change');
    await systemClock.sleep(2_200);
  }
  expect(heard().match(/"tools\/list"/g)).toHaveLength(2);
});

describe('a call', () => {
  test('of a server that ends meanwhile fails at once, and the next one finds it started again', async () => {
    await expect(call('die')).rejects.toThrow('test ended meanwhile');
    now = () => systemClock.now() + 60_000;
    expect(await textOf('echo', { text: 2 })).toContain('you said 2');
    expect(processes).toHaveLength(2);
  });

  test('that is stopped is cancelled at the server, which lives on', async () => {
    const over = new AbortController();
    const hanging = call('hang', {}, over.signal);
    const refused = expect(hanging).rejects.toThrow('the call of hang was stopped');
    await expect.poll(heard).toContain('"name":"hang"');
    over.abort();
    await refused;
    await expect.poll(heard).toContain('notifications/cancelled');
    expect(await textOf('echo', { text: 3 })).toContain('you said 3');
    expect(processes).toHaveLength(1);
  });

  test('tells its progress', async () => {
    const seen: unknown[] = [];
    await connection.call({ tool: 'progress', args: {}, signal: never(), onProgress: (one) => seen.push(one) });
    expect(seen).toHaveLength(5);
    expect(seen[0]).toMatchObject({ progress: 1, total: 5, message: 'step 1' });
  });

  test('that the server refuses has its words', async () => {
    expect(await call('refuse')).toMatchObject({
      isError: true,
      blocks: [{ text: expect.stringContaining('I <b>will</b> not') }],
    });
  });

  test('with content that nobody knows has the rest of it', async () => {
    expect((await call('odd')).blocks).toEqual([
      { type: 'text', text: '[a block of type hologram was left out]' },
      { type: 'text', text: 'and text' },
    ]);
  });

  test('with a schema made to keep us busy is not looked at by it', async () => {
    expect(await textOf('bomb')).toContain('aaaa');
  });

  test('goes on beside what the server has to say unasked', async () => {
    expect(await textOf('chatter')).toContain('chatter did it');
  });
});

test('nothing that a server sends holds the event loop', async () => {
  const check = await createLoopCheck();
  await call('echo', { text: 'warm' });
  await call('big', { mb: 1 });
  const cases: [what: string, tool: string, args: Record<string, number>, outcome: RegExp][] = [
    ['9 MB of text', 'big', { mb: 9 }, /more characters were left out/],
    ['brackets 10,000 deep', 'deep', { n: 10_000 }, /\[\]/],
    ['brackets 2,000,000 deep', 'deep', { n: 2_000_000 }, /\[\]/],
    ['3,000,000 empty lists', 'lists', { n: 3_000_000 }, /cannot be read/],
    ['a line of 50 MB', 'big', { mb: 50 }, /ended meanwhile/],
    ['50 MB without an end', 'endless', {}, /ended meanwhile/],
    ['300,000 notifications', 'flood', {}, /ended meanwhile/],
  ];
  for (const [what, tool, args, outcome] of cases) {
    connection.forgive();
    await connection.ready();
    let said: unknown;
    await check(what, async () => {
      said = await call(tool, args).then(({ blocks }) => blocks, String);
    });
    expect(JSON.stringify(said).slice(-200), what).toMatch(outcome);
  }
  expect(process.memoryUsage().rss).toBeLessThan(1_500 * MB);
});

test('a server that rests is ended, and started when it is needed', async () => {
  await connection.end();
  connection = connect(100);
  await call('echo');
  await expect(processes[0]?.closed).resolves.toContain('it ended');
  expect(connection.state()).toEqual({ state: 'resting', lastError: null });
  await call('echo');
  expect(processes).toHaveLength(2);
});

test('one that ignores the end of its input is ended all the same', async () => {
  behave({ stays: true });
  await call('echo');
  await connection.stop();
  await expect(processes[0]?.closed).resolves.toBe('it ended with SIGTERM');
});

describe('the end of everything while it starts', () => {
  test('ends what is being opened, and nothing is said to it afterwards', async () => {
    let aborted = false;
    await connection.end();
    connection = connect(
      60_000,
      (over) =>
        new Promise((_resolve, reject) => {
          over.addEventListener('abort', () => {
            aborted = true;
            reject(new Error('given up'));
          });
        }),
    );
    const refused = expect(connection.ready()).rejects.toThrow('not ready');
    await connection.end();
    await refused;
    expect(aborted).toBe(true);
    expect(lastError()).toBeNull();
  });

  test.each(['silent', 'unlisted'])('ends a server that is %s at once', async (mode) => {
    behave({ mode });
    const refused = expect(connection.ready()).rejects.toThrow('not ready');
    await expect.poll(heard).toContain(mode === 'silent' ? '"initialize"' : '"tools/list"');
    const begun = Date.now();
    await connection.end();
    await refused;
    await expect(processes[0]?.closed).resolves.toContain('it ended');
    expect(Date.now() - begun).toBeLessThan(whenBusy(8_000));
    expect(lastError()).toBeNull();
  });
});

test('nothing is started while everything is stopped', async () => {
  isStopped = true;
  await expect(call('echo')).rejects.toThrow('it is stopped');
  expect(processes).toEqual([]);
});
