// The container engine goes away and comes back while Pinch runs. A relay in front of the real engine's socket plays the outage.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../e2e/harness.js';
import { bash, chatTexts, nthReply, runOf, say, startScene, waitForRun } from '../e2e/talk.js';

interface Relay {
  path: string;
  down(): void;
  up(): Promise<void>;
}

async function startRelay(): Promise<Relay> {
  const path = join(mkdtempSync(join(tmpdir(), 'pinch-engine-')), 'docker.sock');
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const relay: Relay = {
    path,
    down() {
      server?.close();
      for (const socket of sockets) socket.destroy();
      rmSync(path, { force: true });
    },
    up: () =>
      new Promise((resolve) => {
        server = createServer({ allowHalfOpen: true }, (socket) => {
          const engine = connect({ path: '/var/run/docker.sock', allowHalfOpen: true });
          for (const end of [socket, engine]) sockets.add(end);
          socket.pipe(engine).pipe(socket);
          for (const [end, other] of [[socket, engine] as const, [engine, socket] as const]) {
            end.on('error', () => other.destroy());
            end.on('close', () => other.destroy());
          }
        }).listen(path, resolve);
      }),
  };
  await relay.up();
  return relay;
}

test('Docker stops while an agent works: the run waits, the page stays up, and it goes on when Docker is back', async () => {
  const relay = await startRelay();
  const scene = await startScene({ daemon: { env: { DOCKER_HOST: `unix://${relay.path}` } } });
  const { daemon, model } = scene;
  model.push(bash('sleep 600'));
  const first = await say(daemon, 'work');
  await eventually(
    async () => (await runOf(daemon, first)).events.find((event) => event.kind === 'tool_started'),
    'bash started',
  );
  relay.down();
  await waitForRun(daemon, first, ['ready']);
  await say(daemon, 'are you there?');
  await eventually(async () => {
    const { body } = await daemon.api('GET', '/api/status');
    return JSON.stringify(body).includes('"state":"down"') ? true : undefined;
  }, 'the engine is known to be down');
  expect((await daemon.api('POST', '/api/chat', { text: '/status' })).status).toBe(200);
  expect(await nthReply(daemon, 1)).toContain('Docker does not answer');
  model.push({ text: 'here again' });
  await relay.up();
  await waitForRun(daemon, first, ['done']);
  expect(await nthReply(daemon, 2)).toBe('here again');
  expect(await chatTexts(daemon, 'out')).toHaveLength(2);
  await scene.close();
  relay.down();
});
