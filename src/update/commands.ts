// `pinch update`: a newer version, tested in a copy, and the one before again when it does not become ready. The work is done by
// scripts/update.mjs, a process of its own: what is built here is exchanged meanwhile.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Config, Env } from '../core/config.js';

type Switch = string | boolean | undefined;

interface Call {
  config: Config;
  env: Env;
  argument: string | undefined;
  values: { check?: Switch; yes?: Switch; full?: Switch };
}

/** `serviceNow`: what stops and starts the service of this home, when there is one that is to run. */
export const updateCommands = (serviceNow: (call: Call) => Promise<object | undefined>) => [
  {
    usage: 'update [branch]',
    what: 'a newer version, tested in a copy first, taken back when it does not start (--check only says what is new, --full runs all tests, --yes asks nothing)',
    options: ['check', 'yes', 'full'],
    run: async (call: Call) => runUpdate(call, await serviceNow(call)),
  },
];

async function runUpdate({ config, argument, values }: Call, service: object | undefined): Promise<number> {
  const { repository, home, port, runtime } = config;
  const { check = false, yes = false, full = false } = values;
  const task = { root: repository, home, port, runtime, branch: argument, check, yes, full, service };
  const args = [join(repository, 'scripts', 'update.mjs'), JSON.stringify(task)];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  // It knows itself when it may be ended.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
  const [code] = await once(child, 'close');
  return typeof code === 'number' ? code : 1;
}
