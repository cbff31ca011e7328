// The price list: known models to the micro USD, unknown ones never free where somebody sends a bill.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadPrices } from './prices.js';

const none = {
  ...{ inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWrite5mTokens: 0, cacheWrite1hTokens: 0 },
  webSearches: 0,
};
const paid = { freeUnknown: false };
const million = 1_000_000;

test.each([
  ['claude-opus-5-5', { inputTokens: million }, 4 * million],
  ['claude-opus-5-5', { outputTokens: million }, 20 * million],
  ['claude-opus-5-5', { cacheReadTokens: million }, 200_000],
  ['claude-sonnet-5-5', { cacheWrite5mTokens: million }, 2_500_000],
  ['claude-sonnet-5-5', { cacheWrite1hTokens: million }, 4 * million],
  ['claude-sonnet-5-5', { inputTokens: 10, cacheReadTokens: 10 }, 22],
  ['claude-sonnet-5-5', { cacheReadTokens: 1 }, 1],
  ['claude-sonnet-5-5-20261001', { inputTokens: 5 }, 10],
  ['claude-sonnet-5-5', { webSearches: 3, inputTokens: 1 }, 30_002],
  ['claude-haiku-5-5', { inputTokens: 100_000 }, 10_000],
  ['claude-haiku-5-5', { inputTokens: 50_000, cacheReadTokens: 50_001 }, 27_501],
  ['claude-haiku-5-5', { inputTokens: 1, cacheReadTokens: 100_000, outputTokens: 1_000 }, 7_501],
])('%s, %o costs %i micro USD', (model, usage, microUsd) => {
  expect(loadPrices().cost(model, { ...none, ...usage }, paid)).toEqual({ microUsd, estimated: false });
});

test('an unknown model costs as much as the most expensive known one, marked as our estimate', () => {
  const { cost } = loadPrices();
  expect(cost('claude-next-9', { ...none, outputTokens: 100 }, paid)).toEqual({ microUsd: 5_000, estimated: true });
  expect(cost('claude-sonnet-5-50', { ...none, outputTokens: 100 }, paid).estimated).toBe(true);
});

test('on a server of one’s own an unknown model is free and a known one is not', () => {
  const { cost } = loadPrices();
  expect(cost('qwen3:8b', { ...none, outputTokens: 100 }, { freeUnknown: true })).toEqual({
    microUsd: 0,
    estimated: false,
  });
  expect(cost('claude-sonnet-5-5', { ...none, outputTokens: 100 }, { freeUnknown: true }).microUsd).toBe(1_000);
});

test('a broken price list is refused by name', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'prices-')), 'prices.json');
  writeFileSync(file, '{"models": {"x": {"input": "1"}}}');
  expect(() => loadPrices(file)).toThrow(/prices\.json cannot be used/);
});

test('a price of the owner counts before the list, also where unknown models cost nothing', () => {
  const { cost } = loadPrices();
  const price = { input: 0.5, output: 2, cacheRead: 0.05, cacheWrite5m: 0.625, cacheWrite1h: 1 };
  const usage = { ...none, inputTokens: 1_000, outputTokens: 100, cacheReadTokens: 100 };
  for (const [model, freeUnknown] of [
    ['qwen3:8b', true],
    ['mistral/large', false],
    ['claude-opus-5-5', false],
  ] as const)
    expect(cost(model, usage, { freeUnknown, price })).toEqual({ microUsd: 705, estimated: false });
});
