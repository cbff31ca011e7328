// What `pinch config` shows: each setting and where it is from, and what the owner's services add to the prompt, which the running daemon knows.
import { z } from 'zod';
import { type Config, type Env, listSettings, type Setting } from '../core/config.js';
import { PinchError } from '../core/errors.js';
import { columns } from '../core/terminal.js';
import { channelSettings, settingNotices } from './settings-check.js';

interface ConfigCall {
  config: Config;
  env: Env;
  ask(call: string): Promise<unknown>;
  values: { json?: string | boolean | undefined };
}

const promptParts = z.object({
  parts: z.array(
    z.object({ name: z.string(), kind: z.string(), groups: z.array(z.string()), adds: z.string(), tokens: z.number() }),
  ),
});
type Part = z.infer<typeof promptParts>['parts'][number];

export async function runConfig({ config, env, ask, values }: ConfigCall): Promise<string> {
  const { home, dataDir, groupsDir, backend } = config;
  const settings = allSettings(env, home);
  const notices = settingNotices(config);
  const prompt = await partsOf(ask);
  if (values.json)
    return JSON.stringify({ home, dataDir, groupsDir, backend: backend.kind, settings, notices, prompt }, null, 2);
  return [
    `home: ${home}`,
    `model: ${backend.kind === 'demo' ? 'the demo model' : new URL(backend.baseUrl).host}`,
    '',
    columns(settings.map(({ name, value, from }) => [name, value || 'not set', from])),
    ...(notices.length > 0 ? ['', ...notices.map((notice) => `! ${notice}`)] : []),
    '',
    'Added to the prompt of groups, about:',
    ...(prompt ? partLines(prompt) : ['  not known: Pinch is not running']),
  ].join('\n');
}

/** With those of the channels. Secrets are only said to be set. */
export const allSettings = (env: Env, home: string): Setting[] => listSettings(env, home, channelSettings());

/** Null when the daemon does not answer. */
async function partsOf(ask: ConfigCall['ask']): Promise<Part[] | null> {
  try {
    return promptParts.parse(await ask('GET /api/prompt')).parts;
  } catch (error) {
    if (error instanceof PinchError && /^(not_running|no_port|not_started)$/.test(error.code)) return null;
    throw error;
  }
}

const partLines = (parts: Part[]): string[] =>
  parts.length === 0
    ? ['  nothing: there are no services']
    : parts.map(
        ({ name, kind, groups, adds, tokens }) =>
          `  ${`${tokens}`.padStart(5)} tokens  ${name} (${kind}): ${adds}, for ${groups.join(', ')}`,
      );
