// What a model call costs, from one data file (prices.json names its source and date). Money is integer micro USD, rounded up.
// Knows nothing about budgets or HTTP.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { PinchError } from '../core/errors.js';
import type { TokenUsage } from './sse.js';

const usd = z.number().nonnegative();
/** USD per million tokens, which is the same number as micro USD per token. */
const rate = z.object({ input: usd, output: usd, cacheRead: usd, cacheWrite5m: usd, cacheWrite1h: usd });
const price = rate.extend({ above: rate.extend({ promptTokens: z.int().positive() }).optional() });
/** `webSearch`: USD for a thousand searches of the provider. */
const priceFile = z.object({ webSearch: usd, models: z.record(z.string(), price) });
type Price = z.infer<typeof price>;

/** Reads the price list, by default the one beside this file. Throws PinchError `prices_invalid`. */
export function loadPrices(file: string | URL = new URL('./prices.json', import.meta.url)) {
  const { webSearch, models: listed } = readPrices(file);
  const searches = ({ webSearches }: TokenUsage) => Math.ceil(webSearches * webSearch * 1_000);
  const models = Object.entries(listed).sort(([a], [b]) => b.length - a.length);
  const dearest = models.map(([, known]) => known).reduce((a, b) => (b.output > a.output ? b : a));
  // A dated name is the model it begins with, the longest that fits.
  const find = (model: string) => models.find(([name]) => model === name || model.startsWith(`${name}-`))?.[1];
  return {
    knows: (model: string): boolean => find(model) !== undefined,
    names: Object.keys(listed),
    /**
     * Cost of one call. `price` counts before the list. A model without a price costs nothing when `freeUnknown` (a server of one's own), else as much as the most
     * expensive known one, so that a budget still holds; `estimated` is then true.
     */
    cost(
      model: string,
      usage: TokenUsage,
      { freeUnknown, price }: { freeUnknown: boolean; price?: Price | undefined },
    ) {
      const known = price ?? find(model);
      if (known) return { microUsd: costMicroUsd(known, usage) + searches(usage), estimated: false };
      return { microUsd: freeUnknown ? 0 : costMicroUsd(dearest, usage) + searches(usage), estimated: !freeUnknown };
    },
  };
}

function readPrices(file: string | URL) {
  try {
    return priceFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new PinchError('prices_invalid', `the price file ${file} cannot be used: ${cause}`, { cause });
  }
}

function costMicroUsd(price: Price, usage: TokenUsage): number {
  const prompt = usage.inputTokens + usage.cacheReadTokens + usage.cacheWrite5mTokens + usage.cacheWrite1hTokens;
  const paid = price.above && prompt > price.above.promptTokens ? price.above : price;
  const microUsd =
    usage.inputTokens * paid.input +
    usage.outputTokens * paid.output +
    usage.cacheReadTokens * paid.cacheRead +
    usage.cacheWrite5mTokens * paid.cacheWrite5m +
    usage.cacheWrite1hTokens * paid.cacheWrite1h;
  // Binary fractions are not exact: without this 10 * 0.2 would round up to 3.
  return Math.ceil(Number(microUsd.toFixed(6)));
}
