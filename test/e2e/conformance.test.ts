// The conformance suite of the Model Context Protocol against our own client side. It is a program of its own, which needs a newer Node than we do,
// so it is installed beside, with such a Node where this one is older; each scenario calls back here.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { describeError } from '../../src/core/errors.js';
import { playScenario } from '../conformance/client.js';

const SUITE = '@modelcontextprotocol/conformance@0.1.16';
const NODE = 22;
/** Those that do not apply, and why. */
const OTHERS = {
  'elicitation-sep1034-client-defaults':
    'a server asks nobody through us: the capability is not declared, so that there is nothing to fill in',
  'auth/client-credentials-jwt': 'an extension: a machine that speaks for itself; here the owner says yes',
  'auth/client-credentials-basic': 'as above',
  'auth/cross-app-access-complete-flow': "an extension: sign-in by a company's identity provider",
};
const SCENARIOS = [
  'initialize',
  'tools_call',
  'sse-retry',
  'auth/metadata-default',
  'auth/metadata-var1',
  'auth/metadata-var2',
  'auth/metadata-var3',
  'auth/basic-cimd',
  'auth/scope-from-www-authenticate',
  'auth/scope-from-scopes-supported',
  'auth/scope-omitted-when-undefined',
  'auth/scope-step-up',
  'auth/scope-retry-limit',
  'auth/token-endpoint-auth-basic',
  'auth/token-endpoint-auth-post',
  'auth/token-endpoint-auth-none',
  'auth/pre-registration',
  'auth/2025-03-26-oauth-metadata-backcompat',
  'auth/2025-03-26-oauth-endpoint-fallback',
  'auth/resource-mismatch',
  'auth/offline-access-scope',
  'auth/offline-access-not-supported',
];

const played = z.object({ url: z.string(), scenario: z.string(), context: z.string().nullable() });
let folder: string;
let server: Server;
let node = process.execPath;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pinch-conformance-suite-'));
  const isOld = Number(process.versions.node.split('.')[0]) < NODE;
  const platform = `node-${process.platform}-${process.arch}`;
  writeFileSync(join(folder, 'package.json'), '{}');
  const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', SUITE];
  const done = await run('npm', [...install, ...(isOld ? [`${platform}@${NODE}`] : [])]);
  if (done.code !== 0) throw new Error(`the suite cannot be installed: ${done.out}`);
  if (isOld) node = join(folder, 'node_modules', platform, 'bin/node');
  server = createServer(async (request, response) => {
    const { url, scenario, context } = played.parse(await json(request));
    const failed = await playScenario(url, scenario, context && JSON.parse(context)).then(() => '', describeError);
    response.writeHead(failed ? 500 : 200).end(failed);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = Object(server.address());
  writeFileSync(
    join(folder, 'client.mjs'),
    `const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_CONTEXT: context = null } = process.env;
     const body = JSON.stringify({ url: process.argv[2], scenario, context });
     const answer = await fetch('http://127.0.0.1:${port}/', { method: 'POST', body });
     console.error(await answer.text());
     process.exitCode = answer.ok ? 0 : 1;`,
  );
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(program: string, args: string[]): Promise<{ code: number | null; out: string }> {
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await ended;
  return { code, out: out + errors };
}
const suite = (...args: string[]) => run(node, [join(folder, 'node_modules/.bin/conformance'), ...args]);

test('every scenario for clients is played, or said not to apply', async () => {
  const { out } = await suite('list', '--client');
  const [, all = ''] = out.split('Client scenarios');
  const names = [...all.matchAll(/^ {2}- (\S+)/gm)].map(([, name]) => name);
  expect(names.sort()).toEqual([...SCENARIOS, ...Object.keys(OTHERS)].sort());
});

test.each(SCENARIOS)('%s', async (scenario) => {
  const { code, out } = await suite('client', '--command', `${process.execPath} client.mjs`, '--scenario', scenario);
  expect(code, out).toBe(0);
});
