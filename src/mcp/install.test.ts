// Packages from the registry of this machine, installed and run in real containers.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startRegistry } from './testing/registry.js';
import { asker, createScene, type McpScene } from './testing/scene.js';

let scene: McpScene;
beforeAll(async () => {
  scene = await createScene();
});
afterAll(() => scene.close());

const PACKAGE = '@modelcontextprotocol/server-everything@2026.8.31';
const everything = { name: 'everything', packages: [PACKAGE] };
const placeOf = (name: string) => join(scene.config.dataDir, 'mcp', name);

test('a server of the registry is installed once, speaks, and older versions go', async () => {
  mkdirSync(join(placeOf('everything'), '.install-left'), { recursive: true });
  mkdirSync(join(placeOf('everything'), '0123456789abcdef', 'old'), { recursive: true });
  const [folder, same] = await Promise.all([scene.installServer(everything), scene.installServer(everything)]);
  expect(same).toBe(folder);
  expect(await scene.installServer(everything)).toBe(folder);
  expect(scene.lines.filter(({ msg }) => msg === 'a server is installed')).toHaveLength(1);
  expect(readdirSync(folder).sort()).toEqual(['node_modules', 'package-lock.json', 'package.json']);
  const reached = scene.lines.filter(({ msg }) => msg === 'egress').map(({ host, verdict }) => `${verdict} ${host}`);
  expect([...new Set(reached)]).toEqual(['allowed registry.npmjs.org']);

  const box = await scene.openBox({
    server: { name: 'everything', command: ['mcp-server-everything'], egress: [] },
    ...{ folder, env: {} },
  });
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'pinch', version: '0' } };
  const ask = asker(box);
  expect(await ask({ jsonrpc: '2.0', id: 1, method: 'initialize', params })).toMatchObject({
    ...{ jsonrpc: '2.0', id: 1, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} } } },
  });
  await expect.poll(() => readdirSync(placeOf('everything')).sort()).toEqual([folder.split('/').at(-1), 'data'].sort());
  await box.stop();
  expect(await box.closed).toBe('exit code 0');
});

test('a version that is not there is said, and leaves nothing', async () => {
  const wrong = { name: 'wrong', packages: ['is-odd@99.0.0'] };
  await expect(scene.installServer(wrong)).rejects.toMatchObject({
    code: 'mcp_install',
    message: expect.stringMatching(/registry\.npmjs\.org has no such package or version: .*is-odd@99\.0\.0/),
  });
  expect(readdirSync(placeOf('wrong'))).toEqual([]);
});

test('one that nobody wants any more ends at once, and leaves nothing', async () => {
  const over = new AbortController();
  const refused = expect(scene.installServer({ ...everything, name: 'unwanted' }, over.signal)).rejects.toThrow();
  await expect.poll(scene.world.containers, { timeout: 30_000 }).toHaveLength(1);
  over.abort();
  await refused;
  expect(await scene.world.containers()).toEqual([]);
  expect(readdirSync(placeOf('unwanted'))).toEqual([]);
});

test('a registry that does not answer is said', async () => {
  const other = await createScene({ ...process.env, npm_config_registry: 'http://127.0.0.1:9/' });
  await expect(other.installServer({ name: 'far', packages: ['is-odd@3.0.1'] })).rejects.toMatchObject({
    code: 'mcp_install',
    message: expect.stringContaining('the registry 127.0.0.1:9 cannot be reached'),
  });
  await other.close();
});

test('program files lie beside the packages, and a change of them is another version', async () => {
  const server = { name: 'program', packages: ['is-odd@3.0.1'], program: 'probe' };
  const folder = await scene.installServer(server);
  expect(readdirSync(folder).sort()).toEqual(['node_modules', 'package-lock.json', 'package.json', 'probe.mjs']);
  expect(existsSync(join(folder, 'node_modules', 'is-number', 'package.json'))).toBe(true);
  writeFileSync(join(scene.config.repository, 'probe', 'more.mjs'), '');
  expect(await scene.installServer(server)).not.toBe(folder);
});

test('of a hostile package nothing runs, and what it wants from elsewhere is not fetched', async () => {
  const dependencies = { other: 'http://elsewhere.example/other.tgz' };
  const registry = await startRegistry([
    { name: 'scripted', manifest: { scripts: { postinstall: 'touch /server/ran', preinstall: 'touch /server/ran' } } },
    { name: 'moved', tarball: 'http://elsewhere.example/moved.tgz' },
    { name: 'linked', manifest: { dependencies } },
    { name: 'cloned', manifest: { dependencies: { other: 'git+http://elsewhere.example/other.git' } } },
  ]);
  const other = await createScene({ ...process.env, npm_config_registry: registry.base });
  const folder = await other.installServer({ name: 'scripted', packages: ['scripted@1.0.0'] });
  expect(readdirSync(folder).sort()).toEqual(['node_modules', 'package-lock.json', 'package.json']);
  for (const name of ['moved', 'linked', 'cloned']) {
    await expect(other.installServer({ name, packages: [`${name}@1.0.0`] })).rejects.toMatchObject({
      code: 'mcp_install',
    });
    expect(readdirSync(join(other.config.dataDir, 'mcp', name))).toEqual([]);
  }
  const verdicts = other.lines.filter(({ msg }) => msg === 'egress').map(({ host, verdict }) => `${host} ${verdict}`);
  expect(new Set(verdicts)).toEqual(new Set(['127.0.0.1 allowed', 'elsewhere.example refused']));
  await other.close();
  registry.close();
});
