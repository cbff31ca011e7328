// `pinch replay <run>` in the terminal: waits until it is over, and shows both side by side.
import { z } from 'zod';
import { systemClock } from '../core/clock.js';
import { PinchError } from '../core/errors.js';
import { visible } from '../core/visible.js';
import { comparisonText } from './compare.js';
import { comparisonShape } from './replay.js';

type Value = string | boolean | undefined;
interface Call {
  argument: string | undefined;
  ask(call: string, body?: object): Promise<unknown>;
  values: { dry?: Value; model?: Value; prompt?: Value; json?: Value };
}

const LOOK_MS = 1_000;
/** Beside less than that nobody can read two columns. */
const [MIN_WIDTH, MAX_WIDTH] = [80, 200];

const made = z.object({ run: z.object({ id: z.number() }), stopped: z.boolean() });
const looked = z.object({
  run: z.object({ state: z.string(), error: z.string().nullable() }),
  comparison: comparisonShape,
});

export const replayCommand = {
  usage: 'replay <id>',
  what: 'a run again: --dry shows only what it would do, --model and --prompt change it (--json does not wait)',
  options: ['dry', 'model', 'prompt'] as const,
  run: runReplay,
};

async function runReplay({ argument = '', ask, values }: Call): Promise<number> {
  if (!/^\d+$/.test(argument))
    throw new PinchError('usage', 'which run? Give its number', { hint: '`runs` lists them' });
  const { dry = false, model, prompt, json } = values;
  const body = { dry, ...(model !== undefined && { model }), ...(prompt !== undefined && { prompt }) };
  const answer = await ask(`POST /api/runs/${argument}/replay`, body);
  if (json) return print(JSON.stringify(answer, null, 2));
  const { run, stopped } = made.parse(answer);
  if (stopped) return print(`Run ${run.id} waits: everything is stopped. \`resume\`, then \`run ${run.id}\` shows it.`);
  print(`Run ${run.id} works. This waits for it; Ctrl+C does not end it.`);
  for (;;) {
    const { run: now, comparison } = looked.parse(await ask(`GET /api/runs/${run.id}`));
    if (now.state !== 'ready' && now.state !== 'leased') return print(comparisonText(comparison, width()));
    if (now.state === 'ready' && now.error !== null) return print(`It is tried again later: ${now.error}`);
    await systemClock.sleep(LOOK_MS);
  }
}

const width = (): number => {
  const columns = Math.min(process.stdout.columns ?? 120, MAX_WIDTH);
  return columns < MIN_WIDTH ? 0 : columns;
};

function print(text: string): number {
  process.stdout.write(`${visible(text)}\n`);
  return 0;
}
