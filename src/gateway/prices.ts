// What a model call costs, from one data file (prices.json names its source and date). Money is integer micro USD, rounded up.
// Knows nothing about budgets or HTTP.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { PinchError } from '../errors.js';
import type { TokenUsage } from './sse.js';

const rate = z.object({
  input: z.number().nonnegative(),
  output: z.number().nonnegative(),
  cacheRead: z.number().nonnegative(),
  cacheWrite5m: z.number().nonnegative(),
  cacheWrite1h: z.number().nonnegative(),
});
/** USD per million tokens, which is the same number as micro USD per token. */
export type Rate = z.infer<typeof rate>;

const priceFile = z.object({
  source: z.string().min(1),
  date: z.iso.date(),
  unit: z.literal('USD per million tokens'),
  models: z.record(z.string(), rate.extend({ above: rate.extend({ promptTokens: z.int().positive() }).optional() })),
});
type ModelPrice = z.infer<typeof priceFile>['models'][string];

export interface Prices {
  /**
   * Cost of one call. A model without a price costs nothing when `freeUnknown` (a server of one's own), else as much as the most
   * expensive known one, so that a budget still holds; `estimated` is then true.
   */
  cost(model: string, usage: TokenUsage, options: { freeUnknown: boolean }): { microUsd: number; estimated: boolean };
  source: string;
  date: string;
}

// Beside this file; the build copies it along.
const PRICE_FILE = new URL('./prices.json', import.meta.url);

/** Reads the price file. Throws PinchError `prices_invalid`. */
export function loadPrices(file: string | URL = PRICE_FILE): Prices {
  const { models, source, date } = readPrices(file);
  const highest = Object.values(models).reduce((a, b) => (b.output > a.output ? b : a));
  const priceOf = (model: string) => {
    const names = Object.keys(models).filter((name) => model === name || model.startsWith(`${name}-`));
    const name = names.sort((a, b) => b.length - a.length)[0];
    return name === undefined ? undefined : models[name];
  };
  return {
    source,
    date,
    cost(model, usage, { freeUnknown }) {
      const known = priceOf(model);
      if (known) return { microUsd: costMicroUsd(known, usage), estimated: false };
      return freeUnknown
        ? { microUsd: 0, estimated: false }
        : { microUsd: costMicroUsd(highest, usage), estimated: true };
    },
  };
}

function readPrices(file: string | URL): z.infer<typeof priceFile> {
  try {
    const parsed = priceFile.parse(JSON.parse(readFileSync(file, 'utf8')));
    if (Object.keys(parsed.models).length === 0) throw new Error('it has no models');
    return parsed;
  } catch (cause) {
    const hint = 'restore it with git, or correct the entry you changed';
    throw new PinchError('prices_invalid', `the price file ${file} cannot be used: ${cause}`, { hint, cause });
  }
}

function costMicroUsd(price: ModelPrice, usage: TokenUsage): number {
  const prompt = usage.inputTokens + usage.cacheReadTokens + usage.cacheWrite5mTokens + usage.cacheWrite1hTokens;
  const { above } = price;
  const paid = above && prompt > above.promptTokens ? above : price;
  const microUsd =
    usage.inputTokens * paid.input +
    usage.outputTokens * paid.output +
    usage.cacheReadTokens * paid.cacheRead +
    usage.cacheWrite5mTokens * paid.cacheWrite5m +
    usage.cacheWrite1hTokens * paid.cacheWrite1h;
  // Cents in binary: without this 10 * 0.2 would round up to 3.
  return Math.ceil(Number(microUsd.toFixed(6)));
}
