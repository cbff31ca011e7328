// The input schema of a server's tool as the model's API takes it. Pure. One schema that the API refuses would make every call of the model fail,
// with whatever tools: so nothing passes that is not known to be right.
import { z } from 'zod';

export type ApiSchema = { type: 'object'; properties?: Record<string, unknown> } & Record<string, unknown>;

const MAX_DEPTH = 12;
const MAX_CHARS = 16_000;
const MAX_NOTE_CHARS = 1_500;
const MAX_TEXT_CHARS = 600;
const PROPERTY = /^[a-zA-Z0-9_.-]{1,64}$/;
const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'];
const TEXTS = ['title', 'description', 'format', '$comment'];
const COUNTS = ['minLength', 'maxLength', 'minItems', 'maxItems', 'minProperties', 'maxProperties'];
const NUMBERS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'];
const LISTS = ['anyOf', 'oneOf', 'allOf'];
const DEFINITIONS = ['$defs', 'definitions'];
/** At its root the API takes none of these. */
const NOT_AT_ROOT = [...LISTS, '$ref', 'not', 'if'];

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
/** No copy: of a large schema each level would be copied at each look. */
const asObject = (value: unknown) => (isObject(value) ? value : undefined);
/** A tool that takes anything; the server says what is wrong with it. */
const ANYTHING: ApiSchema = { type: 'object', additionalProperties: true };

/** `note`: what the schema cannot say any more, for the description. Never throws. */
export function cutSchema(given: unknown): { schema: ApiSchema; note?: string } {
  const root = asObject(given) ?? {};
  const cut = cutObject(root, 0, root);
  const isWhole = cut !== undefined && !NOT_AT_ROOT.some((key) => Object.hasOwn(root, key));
  if (isWhole && JSON.stringify(cut).length <= MAX_CHARS) return { schema: { ...cut, type: 'object' } };
  const { $schema: _, ...rest } = root;
  const note = `Its input is an object after this JSON Schema: ${JSON.stringify(rest).slice(0, MAX_NOTE_CHARS)}`;
  const properties = asObject(cut?.properties);
  const isSmall = properties !== undefined && JSON.stringify(cut).length <= MAX_CHARS;
  return { schema: isSmall ? { ...ANYTHING, properties, ...definitionsOf(cut) } : ANYTHING, note };
}

const definitionsOf = (cut: Record<string, unknown> = {}) =>
  Object.fromEntries(DEFINITIONS.filter((key) => key in cut).map((key) => [key, cut[key]]));

/** A schema made of what is known to be right; undefined where it would mean something else without the rest. */
function cutObject(given: Record<string, unknown>, depth: number, root: Record<string, unknown>) {
  if (depth > MAX_DEPTH) return undefined;
  const cut: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    const kept = cutKeyword(key, value, (inner) => cutAny(inner, depth + 1, root), { root, depth });
    if (kept === WRONG) return undefined;
    if (kept !== undefined) cut[key] = kept;
  }
  return cut;
}

function cutAny(value: unknown, depth: number, root: Record<string, unknown>): unknown {
  if (typeof value === 'boolean') return value;
  const object = asObject(value);
  return object && cutObject(object, depth, root);
}

const WRONG = Symbol('wrong');
type Cut = (value: unknown) => unknown;

function cutKeyword(key: string, value: unknown, cut: Cut, at: { root: Record<string, unknown>; depth: number }) {
  if (TEXTS.includes(key)) return typeof value === 'string' ? value.slice(0, MAX_TEXT_CHARS) : undefined;
  if (COUNTS.includes(key)) return Number.isInteger(value) && Number(value) >= 0 ? value : undefined;
  if (NUMBERS.includes(key))
    return typeof value === 'number' && (key !== 'multipleOf' || value > 0) ? value : undefined;
  if (key === 'uniqueItems') return typeof value === 'boolean' ? value : undefined;
  if (key === 'default' || key === 'const') return value;
  if (key === 'type') return cutType(value);
  if (key === 'enum') return Array.isArray(value) && value.length > 0 ? value : undefined;
  if (key === 'required') return names(value);
  if (key === 'pattern') return isPattern(value) ? value : undefined;
  if (key === 'items' || key === 'additionalProperties' || key === 'propertyNames')
    return Array.isArray(value) ? undefined : (cut(value) ?? WRONG);
  if (key === 'properties' || DEFINITIONS.includes(key)) return cutMap(key, value, cut);
  if (LISTS.includes(key)) return at.depth === 0 ? undefined : cutList(value, cut);
  if (key === '$ref') return at.depth > 0 && isFound(value, at.root) ? value : WRONG;
  return undefined;
}

function cutType(value: unknown) {
  const all = Array.isArray(value) ? value : [value];
  const isRight = all.length > 0 && all.every((one) => TYPES.includes(one)) && new Set(all).size === all.length;
  return isRight ? value : WRONG;
}

const names = (value: unknown) => {
  const { data } = z.array(z.string()).safeParse(value);
  return data && [...new Set(data)];
};

function isPattern(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > 300) return false;
  try {
    return new RegExp(value, 'u') !== undefined;
  } catch {
    return false;
  }
}

function cutMap(key: string, value: unknown, cut: Cut) {
  const map = asObject(value);
  if (!map) return WRONG;
  const entries = Object.entries(map).map(([name, schema]) => [name, cut(schema)] as const);
  const isWrong = ([name, schema]: (typeof entries)[number]) =>
    schema === undefined || (key === 'properties' && !PROPERTY.test(name));
  return entries.some(isWrong) ? WRONG : Object.fromEntries(entries);
}

function cutList(value: unknown, cut: Cut) {
  if (!Array.isArray(value) || value.length === 0) return WRONG;
  const all = value.map(cut);
  return all.includes(undefined) ? WRONG : all;
}

/** Within the same schema. */
function isFound(value: unknown, root: Record<string, unknown>): boolean {
  const [, group = '', name = ''] = /^#\/(\$defs|definitions)\/([\w.-]+)$/.exec(String(value)) ?? [];
  return Object.hasOwn(asObject(root[group]) ?? {}, name);
}
