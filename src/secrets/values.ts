// Which values are secrets that can be looked for. Pure.
import type { Env } from '../core/config.js';
import type { Secret } from './automaton.js';

/** Words in the name of a setting that say: a credential. */
const NAMED =
  /(^|[_.-])(api[_-]?key|key|keys|token|tokens|secret|secrets|password|passwd|passphrase|pass|pwd|auth|credential|credentials|pat|cookie|bearer|private)([_.-]|$)/i;
/** Pinch's own settings, none of which is a secret, and where something is rather than what it is. */
const SETTING =
  /^(PINCH_|ASSISTANT_NAME$|TZ$|WHATSAPP_|NODE_|npm_)|(_URL|_URI|_ROOT|_FILE|_PATH|_DIR|_HOST|_SOCK|_MODEL|_ID)$/i;
const PATH = /^(~|\.{0,2})\/[\w.@ -]*(\/[\w.@ -]*)+$/;
const BYTES = 16;

/**
 * Whether a text would not be found by accident. Shorter than 8 characters, of fewer than 5 different ones, numbers, paths and addresses
 * would; so would words (letters, blanks and dashes only) of fewer than 16 characters.
 */
export function canBeLookedFor(value: string): boolean {
  if (value.length < 8 || new Set(value.toLowerCase()).size < 5) return false;
  if (/^[\d\s.,:+/-]+$/.test(value) || PATH.test(value) || /^\w+:\/\/\S+$/.test(value)) return false;
  return value.length >= 16 || !/^(\p{Ll}|[\s_-])+$/iu.test(value);
}

/** A key, by its looks: where nothing else says so. */
const looksLikeKey = (value: string): boolean =>
  (value.match(/[a-z\d]{16,}/gi) ?? []).some((run) => /\d/.test(run) && /[a-z]/i.test(run));

/**
 * The credentials of an environment: what is named like one, and in `fromFile`, the names that the owner's `.env` has, what looks like a key
 * as well. Of an address it is the password, of JSON (also as a channel stores its keys) each field that is named like one.
 */
export function credentialsOf(env: Env, fromFile: ReadonlySet<string>): Secret[] {
  return Object.entries(env).flatMap(([name, value = '']) => {
    if (URL.canParse(value) && value.includes('://')) return inAddress(name, value);
    if (value.startsWith('{')) return inJson(name, value);
    if (SETTING.test(name)) return [];
    return NAMED.test(name) || (fromFile.has(name) && looksLikeKey(value)) ? [{ name, value }] : [];
  });
}

function inAddress(name: string, value: string): Secret[] {
  const { password, searchParams } = new URL(value);
  const query = [...searchParams].filter(([key]) => NAMED.test(key)).map(([, text]) => text);
  return [decodeURIComponent(password), ...query].filter(Boolean).map((text) => ({ name, value: text }));
}

/** Fields of JSON that are named like credentials; `{type: 'Buffer', data}` is bytes as base64. */
export function inJson(name: string, json: string): Secret[] {
  try {
    return fieldsOf(name, JSON.parse(json));
  } catch {
    return [];
  }
}

function fieldsOf(name: string, value: unknown): Secret[] {
  if (typeof value === 'string') return NAMED.test(decamel(name)) ? [{ name, value }] : [];
  if (typeof value !== 'object' || value === null) return [];
  if ('type' in value && value.type === 'Buffer' && 'data' in value && typeof value.data === 'string') {
    const bytes = Buffer.from(value.data, 'base64');
    return /\.private$/.test(name) && bytes.length >= BYTES ? [{ name, value: bytes }] : [];
  }
  return Object.entries(value).flatMap(([field, inner]) => fieldsOf(`${name}.${field}`, inner));
}

/** `advSecretKey` is a name of three words. */
const decamel = (name: string): string => name.replace(/([a-z])([A-Z])/g, '$1_$2');
