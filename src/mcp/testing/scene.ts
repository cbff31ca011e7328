// Servers in real containers for tests: a home, a repository with a program that does what it is told, and what opens and installs.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { createWorld } from '../../../test/sandbox/world.js';
import { systemClock as clock } from '../../core/clock.js';
import type { Env } from '../../core/config.js';
import { createLookupQueue, lookupAll } from '../../egress/lookup.js';
import { createSecrets } from '../../secrets/secrets.js';
import { type BoxSpec, createBoxes } from '../box.js';
import { createInstaller } from '../install.js';
import type { ServerProcess } from '../process.js';

/** Runs each line it is given as the body of an async function, and prints what that returned as a line of JSON. */
const PROBE = `
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
const require = createRequire(import.meta.url);
const AsyncFunction = (async () => {}).constructor;
for await (const line of createInterface({ input: process.stdin })) {
  const result = await new AsyncFunction('require', JSON.parse(line))(require).catch((error) => ({ error: error.message }));
  process.stdout.write(JSON.stringify(result ?? null) + '\\n');
}`;

export type McpScene = Awaited<ReturnType<typeof createScene>>;

/** Needs the engine and the agent image (\`npm test\` sees to both). */
export async function createScene(env: Env = process.env) {
  const world = await createWorld();
  const home = mkdtempSync(join(tmpdir(), 'pinch-mcp-'));
  const config = { dataDir: join(home, 'data'), repository: join(home, 'repository'), env };
  mkdirSync(config.dataDir, { recursive: true });
  mkdirSync(join(config.repository, 'probe'), { recursive: true });
  writeFileSync(join(config.repository, 'probe', 'probe.mjs'), PROBE);
  const secrets = createSecrets();
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const lookup = createLookupQueue(lookupAll);
  const deps = { config, sandbox: world.sandbox, secrets, clock, log, lookup };
  const installer = createInstaller(deps);
  const openBox = createBoxes({ ...deps, onWorks: (server, folder) => void installer.keepOnly(server, folder) });
  return {
    ...{ world, config, secrets, lines, deps, openBox, ...installer },
    /** The program above. */
    async probe(more: { egress?: BoxSpec['server']['egress']; env?: Record<string, string> } = {}) {
      const folder = await installer.installServer({ name: 'probe', packages: [], program: 'probe' });
      const server = { name: 'probe', command: ['node', '/server/probe.mjs'], egress: more.egress ?? [] };
      const box = await openBox({ server, folder, env: more.env ?? {} });
      return { ...box, ask: asker(box), folder };
    },
    async close() {
      await world.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Says a line and gives back the next one that comes. */
export function asker({ stdin, stdout }: ServerProcess): (question: unknown) => Promise<unknown> {
  const answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return async (question) => {
    stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await answers.next();
    return done ? 'it ended' : JSON.parse(value);
  };
}
