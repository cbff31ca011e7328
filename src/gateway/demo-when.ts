// Reads "in 5m", "every 30m", "every weekday at 9", "at 2026-12-01T09:00" for the demo model. Pure; knows nothing about tools.

export interface ParsedWhen {
  /** Exactly one of the schedule fields of `task_schedule`. */
  when: { at: string } | { every: string } | { cron: string };
  what: string;
}

const UNITS: Readonly<Record<string, string>> = { s: 's', m: 'm', h: 'h', d: 'd' };
const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/** The time and the rest of a sentence such as `remind me every weekday at 9 to stretch`; undefined when there is no time in it. */
export function parseWhen(text: string): ParsedWhen | undefined {
  const sentence = text.trim().replace(/[.!]$/, '');
  for (const read of [readCron, readEvery, readIn, readAt]) {
    const found = read(sentence);
    if (!found) continue;
    const rest = sentence.replace(found.words, ' ').replace(/^\s*(?:please\s+)?remind me\b/i, '');
    const what = rest
      .replace(/^[\s,:]*(?:(?:to|that|of|about)\s+)?/i, '')
      .replace(/\s+/g, ' ')
      .trim();
    return { when: found.when, what: what || 'the time has come' };
  }
  return undefined;
}

type Reader = (sentence: string) => { when: ParsedWhen['when']; words: string } | undefined;

const readCron: Reader = (sentence) => {
  const match =
    /\bevery (day|weekday|weekend|(?:sun|mon|tues|wednes|thurs|fri|satur)day)s?(?: at (\d{1,2})(?::(\d{2}))?\s*(am|pm)?)?\b/i.exec(
      sentence,
    );
  if (!match) return undefined;
  const [words, day = '', hour = '9', minute = '0', half = ''] = match;
  const noon = half.toLowerCase() === 'pm' ? 12 : 0;
  const hours = half ? (Number(hour) % 12) + noon : Number(hour);
  if (hours > 23 || Number(minute) > 59) return undefined;
  return { when: { cron: `${Number(minute)} ${hours} * * ${dayField(day.toLowerCase())}` }, words };
};

function dayField(day: string): string {
  if (day === 'day') return '*';
  if (day === 'weekday') return '1-5';
  return day === 'weekend' ? '6,0' : String(DAYS.indexOf(day));
}

const LENGTH = '(\\d+)\\s*(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)\\b';

const readEvery: Reader = (sentence) => {
  const match = new RegExp(`\\bevery ${LENGTH}`, 'i').exec(sentence) ?? /\bevery ()(minute|hour)\b/i.exec(sentence);
  return match ? { when: { every: lengthOf(match) }, words: match[0] } : undefined;
};

const readIn: Reader = (sentence) => {
  const match = new RegExp(`\\bin ${LENGTH}`, 'i').exec(sentence);
  return match ? { when: { at: `in ${lengthOf(match)}` }, words: match[0] } : undefined;
};

function lengthOf([, amount, unit = 'm']: RegExpExecArray): string {
  return `${amount || 1}${UNITS[unit.charAt(0).toLowerCase()] ?? 'm'}`;
}

const readAt: Reader = (sentence) => {
  const match = /\b(?:at|on) (\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})\b/i.exec(sentence);
  return match ? { when: { at: `${match[1]}T${match[2]}` }, words: match[0] } : undefined;
};
