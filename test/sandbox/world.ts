// A host for sandbox tests: a real sandbox whose runner is `inside.ts`, a real HTTP server behind its link, and what it asks for.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import type Docker from 'dockerode';
import { build } from 'esbuild';
import { pino } from 'pino';
import { z } from 'zod';
import { systemClock } from '../../src/core/clock.js';
import { createDockerSandbox } from '../../src/sandbox/docker.js';
import { connectEngine } from '../../src/sandbox/engine.js';
import { containerUser } from '../../src/sandbox/home.js';
import type { Sandbox, SandboxInstance, SandboxSpec } from '../../src/sandbox/sandbox.js';

const repository = join(import.meta.dirname, '../..');

export type Handler = (req: IncomingMessage, res: ServerResponse) => void;

export interface Scene {
  instance: SandboxInstance;
  /** What the script returned. */
  result: Promise<unknown>;
  /** Connections that are open now. */
  connections: Set<Duplex>;
}

export type World = Awaited<ReturnType<typeof createWorld>>;

/** Needs the engine and the agent image (`npm test` sees to both). */
export async function createWorld() {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-sandbox-'));
  const program = join(folder, 'program');
  await bundle('inside.ts', join(program, 'runner.cjs'));
  const engine = connectEngine(process.env);
  const homeId = `test${Math.random().toString(16).slice(2, 14)}`;
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const image = agentImage();
  const sandboxOf = (home: string) =>
    createDockerSandbox({ engine, image, homeId: home, user: containerUser(), clock: systemClock, log });
  const sandbox = sandboxOf(homeId);
  return {
    ...{ folder, program, engine, homeId, sandbox, sandboxOf, lines },
    /** Runs `script` inside; `/script` and `/result` are answered here, everything else by `handler`. */
    run: (script: string, handler?: Handler, extra: Partial<SandboxSpec> = {}) =>
      startScene(sandbox, { folder: 'main', mounts: [programMount(program)], ...extra }, script, handler),
    containers: (home = homeId) => containersOf(engine, home),
    running: () => containersOf(engine, homeId, false),
    async close() {
      // Another process to it: what the tests left running is left over.
      await sandboxOf(homeId).reap();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const programMount = (source: string) => ({ source, target: '/opt/pinch', readOnly: true });

export function agentImage(): string {
  const file = readFileSync(join(repository, 'dist', 'agent-image.json'), 'utf8');
  return z.object({ tag: z.string() }).parse(JSON.parse(file)).tag;
}

/** Bundles a file of this folder for Node. */
export async function bundle(name: string, outfile: string): Promise<void> {
  if (!existsSync(join(outfile, '..'))) mkdirSync(join(outfile, '..'), { recursive: true });
  const entryPoints = [join(import.meta.dirname, name)];
  await build({ entryPoints, bundle: true, platform: 'node', format: 'cjs', packages: 'external', outfile });
}

export async function startScene(
  sandbox: Sandbox,
  spec: SandboxSpec,
  script: string,
  handler: Handler = (_req, res) => res.end('ok'),
): Promise<Scene> {
  let report: (value: unknown) => void = () => undefined;
  const result = new Promise<unknown>((resolve) => {
    report = resolve;
  });
  const connections = new Set<Duplex>();
  const server = createServer(async (req, res) => {
    if (req.url === '/script') return res.end(script);
    if (req.url !== '/result') return handler(req, res);
    report(JSON.parse(await text(req)));
    return res.end();
  });
  const instance = await sandbox.start(spec, (connection) => {
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
    server.emit('connection', connection);
  });
  return { instance, result, connections };
}

async function containersOf(engine: Docker, homeId: string, all = true): Promise<string[]> {
  const filters = { label: [`pinch.home=${homeId}`] };
  return (await engine.listContainers({ all, filters })).map(({ Id }) => Id);
}
