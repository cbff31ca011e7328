// What people are told when Pinch is restarted in the middle of their work, and when the model back end is away for long.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { whenBusy } from '../limits.js';
import { eventually, freePort, startDaemon } from './harness.js';
import { bash, chatTexts, nthReply, runOf, type Scene, say, startScene, waitForRun } from './talk.js';

const GOES_ON = 'I was restarted and am going on with this.';

const working = (scene: Scene, runId: number, count = 1) =>
  eventually(
    async () => (await runOf(scene.daemon, runId)).events.filter(({ kind }) => kind === 'tool_started')[count - 1],
    `tool ${count} started`,
  );

async function restart(scene: Scene, signal: NodeJS.Signals): Promise<void> {
  await scene.daemon.kill(signal);
  scene.daemon = await startDaemon({ home: scene.daemon.home, env: scene.env });
}

// They mostly wait, each with a daemon of its own.
test.concurrent.each([
  'SIGKILL',
  'SIGTERM',
] as const)('%s in the middle of long work: one line, however often, and the answer', async (signal) => {
  const scene = await startScene();
  scene.model.push(bash('sleep 600'), bash('sleep 601'), bash('sleep 12'), { text: 'done at last' });
  const runId = await say(scene.daemon, 'work');
  await working(scene, runId);
  await restart(scene, signal);
  await working(scene, runId, 2);
  await restart(scene, signal);
  await waitForRun(scene.daemon, runId, ['done']);
  await nthReply(scene.daemon, 2);
  expect(await chatTexts(scene.daemon, 'out')).toEqual([GOES_ON, 'done at last']);
  // What is over stays untold.
  await restart(scene, signal);
  scene.model.push({ text: 'hello again' });
  await say(scene.daemon, 'hello');
  await nthReply(scene.daemon, 3);
  expect(await chatTexts(scene.daemon, 'out')).toEqual([GOES_ON, 'done at last', 'hello again']);
  await scene.close();
});

const outage = z.object({ outage: z.object({ server: z.string(), why: z.string() }).nullable(), text: z.string() });
const statusOf = async (scene: Scene) => outage.parse((await scene.daemon.api('GET', '/api/status')).body);

test.concurrent('a back end that is away for long: told once with its name, a restart tells it no second time, and then that it answers', async () => {
  const port = await freePort();
  const server = `127.0.0.1:${port}`;
  const scene = await startScene({ daemon: { env: { ANTHROPIC_BASE_URL: `http://${server}` } } });
  scene.env.ANTHROPIC_BASE_URL = `http://${server}`;
  const runId = await say(scene.daemon, 'hello');
  const text = await nthReply(scene.daemon, 1, whenBusy(120_000));
  expect(text).toBe(
    `I get no answer from the model at ${server}: it refuses the connection (ECONNREFUSED). I keep trying.`,
  );
  const status = await statusOf(scene);
  expect(status.outage).toEqual({ server, why: 'it refuses the connection (ECONNREFUSED)' });
  expect(status.text).toContain(`No answer from the model at ${server}`);
  await restart(scene, 'SIGKILL');
  const away = await relayTo(port, Number(new URL(scene.model.url).port));
  scene.model.push({ text: 'here I am' });
  await waitForRun(scene.daemon, runId, ['done'], whenBusy(120_000));
  await nthReply(scene.daemon, 3);
  expect((await chatTexts(scene.daemon, 'out')).sort()).toEqual(
    [text, 'The model answers again: I go on.', 'here I am'].sort(),
  );
  expect(await statusOf(scene)).toMatchObject({ outage: null, text: expect.not.stringContaining('No answer') });
  await scene.close();
  away();
});

/** Returns what ends it. */
async function relayTo(port: number, target: number): Promise<() => void> {
  const sockets = new Set<Socket>();
  const relay = await new Promise<Server>((resolve) => {
    const server = createServer((socket) => {
      const other = connect(target, '127.0.0.1');
      for (const end of [socket, other]) sockets.add(end.on('error', () => undefined));
      socket.pipe(other).pipe(socket);
    });
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
  return () => {
    relay.close();
    for (const socket of sockets) socket.destroy();
  };
}
