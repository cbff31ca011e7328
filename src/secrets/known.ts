// Where the secrets of this host are: the owner's settings, the hooks of tasks, what channels keep of their accounts.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, parseEnvFile } from '../core/config.js';
import type { Secrets } from './secrets.js';
import { credentialsOf } from './values.js';

/** Every credential of `.env` and the environment. */
export function addSettings(secrets: Secrets, { env, home }: Pick<Config, 'env' | 'home'>): void {
  const file = join(home, '.env');
  const names = existsSync(file) ? Object.keys(parseEnvFile(readFileSync(file, 'utf8'))) : [];
  for (const { name, value } of credentialsOf(env, new Set(names))) secrets.add(name, value);
}
