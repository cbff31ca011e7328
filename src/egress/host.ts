// Names of hosts in the one form that rules, requests and messages are compared in, and as people read them. Pure; what a name resolves to is
// decided elsewhere.
import { domainToUnicode } from 'node:url';

export interface Authority {
  /** Canonical. */
  host: string;
  port?: number | undefined;
}

/** What a connection is made to. */
export interface Target extends Authority {
  port: number;
}

/** A URL parser would read these as something else than a part of a name, decode them, or drop them without a word. */
const NOT_IN_A_HOST = /[\s\p{Cc}/\\?#@:[\]%]/u;
const CANONICAL = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/;

/**
 * Lower case, punycode, no dot at the end; an IPv4 address in any notation (`0x7f.1`, `2130706433`) as four decimal numbers. Undefined for
 * anything else, IPv6 addresses in brackets too. Never throws; harmless when repeated.
 */
export function canonicalHost(text: string): string | undefined {
  if (text.length > 1_000 || NOT_IN_A_HOST.test(text)) return undefined;
  // Twice, because the address that `127.1.` stands for is only seen without its dot.
  const host = hostnameOf(hostnameOf(text).replace(/\.$/, ''));
  return CANONICAL.test(host) ? host : undefined;
}

/** By the URL parser that all of Node uses; empty when it refuses. */
function hostnameOf(host: string): string {
  const url = `http://${host}/`;
  return URL.canParse(url) ? new URL(url).hostname : '';
}

/** A host, or `*.` and a host of two or more labels: exactly one label more. Undefined for anything else. */
export function canonicalPattern(text: string): string | undefined {
  if (!text.startsWith('*.')) return canonicalHost(text);
  const parent = canonicalHost(text.slice(2));
  return parent?.includes('.') && !/\d$/.test(parent) ? `*.${parent}` : undefined;
}

export const matchesPattern = (pattern: string, host: string): boolean =>
  pattern === host ||
  (pattern.startsWith('*.') && host.includes('.') && pattern.slice(1) === host.slice(host.indexOf('.')));

/** What `host` or `host:port` names; `parse` reads the host. */
export function parseAuthority(text: string, parse = canonicalHost): Authority | undefined {
  const [, name = '', digits] = /^(.*?)(?::(\d{1,5}))?$/s.exec(text) ?? [];
  const [host, port] = [parse(name), digits === undefined ? undefined : Number(digits)];
  return host === undefined || port === 0 || (port ?? 0) > 65_535 ? undefined : { host, port };
}

const SCRIPTS = [
  ...['Latin', 'Cyrillic', 'Greek', 'Armenian', 'Georgian', 'Cherokee', 'Hebrew', 'Arabic', 'Devanagari', 'Thai'],
  ...['Han', 'Hiragana', 'Katakana', 'Hangul'],
].map((name) => ({ name, pattern: new RegExp(`\\p{Script=${name}}`, 'u') }));
/** Anything else, or one from right to left, could hide itself or move what stands around it. */
const SHOWABLE = /^[\p{L}\p{M}\p{N}.-]+$/u;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/**
 * A canonical host or pattern for people: an internationalised one keeps its form in ASCII and says what it looks like and in which letters,
 * because `xn--80ak6aa92e.com` looks just like `apple.com`. Never throws.
 */
export function shownHost(host: string): string {
  const labels = host.split('.').filter((label) => label.startsWith('xn--'));
  if (labels.length === 0) return host;
  const decoded = labels.map((label) => domainToUnicode(label));
  const looks = domainToUnicode(host.replace(/^\*\./, ''));
  const like = SHOWABLE.test(looks) && !RIGHT_TO_LEFT.test(looks) ? [`looks like ${looks}`] : [];
  const scriptsOf = (label: string) => SCRIPTS.filter(({ pattern }) => pattern.test(label)).map(({ name }) => name);
  const mixed = decoded.map(scriptsOf).find((scripts) => scripts.length > 1);
  const letters = [...new Set(decoded.flatMap(scriptsOf))].join(' and ') || 'unusual';
  return `${host} (${[...like, mixed ? `mixed letters: ${mixed.join(' and ')}` : `${letters} letters`].join(', ')})`;
}
