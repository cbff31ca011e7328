// Which variables of a proxy are named as not used.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type Env, loadConfig } from '../core/config.js';
import { openHome } from './home-lock.js';
import { unusedProxies } from './proxies.js';

const P = 'http://anna:secret@proxy.example:3128';

test.each<[Env, string[]]>([
  [{}, []],
  [{ HTTPS_PROXY: '' }, []],
  [{ https_proxy: ' ' }, []],
  [{ NO_PROXY: 'localhost' }, []],
  [{ HTTPS_PROXY: P }, ['HTTPS_PROXY']],
  [{ https_proxy: P }, ['https_proxy']],
  [{ HTTP_PROXY: P, http_proxy: P }, ['HTTP_PROXY', 'http_proxy']],
  [{ ALL_PROXY: 'socks5h://127.0.0.1:1080' }, ['ALL_PROXY']],
  [{ all_proxy: P, NO_PROXY: 'localhost,127.0.0.1' }, ['all_proxy']],
  [{ HTTPS_PROXY: P, NO_PROXY: '*' }, []],
  [{ HTTPS_PROXY: P, no_proxy: 'localhost, *' }, []],
  [{ HTTPS_PROXY: P, no_proxy: '', NO_PROXY: '*' }, []],
  [{ HTTPS_PROXY: P, NO_PROXY: '*.example.com' }, ['HTTPS_PROXY']],
  [{ HTTPS_PROXY: P, NO_PROXY: '*', no_proxy: 'localhost' }, ['HTTPS_PROXY']],
  [{ HTTPS_PROXY: P, NODE_USE_ENV_PROXY: '1' }, ['HTTPS_PROXY', 'NODE_USE_ENV_PROXY']],
  [{ https_proxy: P, NODE_OPTIONS: '--use-env-proxy' }, ['https_proxy', 'NODE_USE_ENV_PROXY']],
  [{ NODE_USE_ENV_PROXY: '1' }, []],
])('%j: %j', (env, names) => {
  expect(unusedProxies(env)).toEqual(names);
});

test('a start says so, without the password in it', () => {
  const home = mkdtempSync(join(tmpdir(), 'pinch-proxies-'));
  const written: string[] = [];
  const log = pino({}, { write: (line: string) => void written.push(line) });
  openHome(loadConfig({ PINCH_HOME: home, https_proxy: P }, home), log).close();
  const lines = written.join('');
  expect(lines).toContain('these proxies are not used');
  expect(lines).toContain('https_proxy');
  expect(lines).not.toContain('secret');
  rmSync(home, { recursive: true });
});
