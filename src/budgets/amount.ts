// Amounts of money as people write them: `10`, `$10`, `10,50 usd`. What can mean two things is asked about. Pure.
import type { CapChange } from './budgets.js';

const PLAIN = /^\d{1,6}(?:\.\d{1,6}|,\d{1,2})?$/;
/** A thousand, or one and a bit. */
const EITHER = /^[1-9]\d{0,2}[.,]\d{3}$/;

/** US dollars; undefined when it is no amount, or may be two. */
export function readAmount(text: string): number | undefined {
  const bare = withoutSigns(text.toLowerCase()).trim();
  return PLAIN.test(bare) && !EITHER.test(bare) ? Number(bare.replace(',', '.')) : undefined;
}

/** `10`, `$10 today`, `family 10,50 usd`, `day default`; what to write instead, or undefined when it is nothing like that. */
export function readChange(
  argument: string,
): { what: string; microUsd: number | null; once: CapChange['once'] } | string | undefined {
  const [, said = '', when] = /^(.*?)\s*(?:\b(today|this\s+month)\b)?[\s.;!?]*$/is.exec(argument.toLowerCase()) ?? [];
  const words = withoutSigns(said)
    .split(/[\s=:]+/)
    .filter(Boolean);
  const isAmount = (word = '') => word === 'default' || PLAIN.test(word) || EITHER.test(word);
  const [first, second, ...more] = words;
  const [what = 'group', amount = ''] =
    second === undefined ? [undefined, first] : isAmount(second) ? [first, second] : [second, first];
  if (more.length > 0 || !/^[a-z0-9][a-z0-9_-]*$/.test(what) || !isAmount(amount)) return undefined;
  const whole = Number.parseInt(amount, 10);
  if (EITHER.test(amount))
    return `Is ${amount} more than a thousand, or ${whole} and a bit? Write ${amount.replace(/[.,]/, '')} or ${whole}.`;
  const microUsd = amount === 'default' ? null : Math.round(Number(amount.replace(',', '.')) * 1e6);
  return { what, microUsd, once: when === undefined ? undefined : when === 'today' ? 'today' : 'this month' };
}

const withoutSigns = (text: string): string =>
  text
    .replace(/(?:\bus)?\$\s*(?=\d)|\busd\s*(?=\d)/, '')
    .replace(/(\d)\s*(?:(?:us)?\$|usd\b|(?:us )?dollars?\b)/, '$1');
