// Names, schemas and rules of tools.
import { describe, expect, test } from 'vitest';
import { whenBusy } from '../../test/limits.js';
import { cutSchema } from './schema.js';
import { apiTool, decideTool, definitionOf, nameTools, readTool } from './tools.js';

const named = (...tools: [service: string, tool: string][]) =>
  Object.fromEntries(
    [...nameTools(tools.map(([service, tool]) => ({ service, tool })))].map(([name, { service, tool }]) => [
      name,
      `${service} ${tool}`,
    ]),
  );

describe('names', () => {
  test("are those of server and tool, in letters that the model's API takes", () => {
    expect(named(['fs', 'read_file'], ['fs', 'a.b/c d'])).toEqual({
      mcp__fs__read_file: 'fs read_file',
      mcp__fs__a_b_c_d: 'fs a.b/c d',
    });
  });

  test('that would be the same are told apart, in whatever order they come', () => {
    const all: [string, string][] = [
      ['s', 'a.b'],
      ['s', 'a_b'],
      ['s', 'a/b'],
      ['a', 'b__c'],
      ['a__b', 'c'],
    ];
    const names = named(...all);
    expect(Object.keys(names)).toHaveLength(5);
    expect(names.mcp__s__a_b).toBe('s a_b');
    expect(named(...[...all].reverse())).toEqual(names);
  });

  test('are never longer than the API takes, and stay different', () => {
    const names = Object.keys(named(['s', `${'x'.repeat(190)}1`], ['s', `${'x'.repeat(190)}2`]));
    expect(names).toHaveLength(2);
    for (const name of names) expect(name).toMatch(/^[a-zA-Z0-9_-]{1,128}$/);
  });
});

describe('a schema', () => {
  const schema = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
  test('that is right stays, without what the API does not need', () => {
    const good = schema(
      {
        path: { type: 'string', description: 'where', minLength: 1 },
        list: { type: 'array', items: { $ref: '#/$defs/x' } },
        any: { anyOf: [{ type: 'string' }, { type: 'null' }] },
      },
      { required: ['path'], additionalProperties: false, $defs: { x: { type: 'integer', minimum: 0 } } },
    );
    expect(cutSchema({ $schema: 'http://json-schema.org/draft-07/schema#', $id: 'x', ...good })).toEqual({
      schema: good,
    });
  });

  test.each<[what: string, given: unknown]>([
    ['a union at its root', schema({ a: { type: 'string' } }, { anyOf: [{ required: ['a'] }] })],
    ['a reference at its root', { $ref: '#/$defs/x', $defs: { x: schema({}) } }],
    ['a type that is none', schema({ a: { type: 'text' } })],
    ['a property whose name the API refuses', schema({ 'a b': { type: 'string' } })],
    ['a reference that leads nowhere', schema({ a: { $ref: 'https://evil.example/schema' } })],
    ['a depth without end', JSON.parse(`${'{"type":"object","properties":{"a":'.repeat(50)}{}${'}}'.repeat(50)}`)],
    [
      '100 kB',
      schema(
        Object.fromEntries(
          Array.from({ length: 2_000 }, (_, n) => [`p${n}`, { type: 'string', description: 'x'.repeat(50) }]),
        ),
      ),
    ],
  ])('with %s becomes one that takes anything, and is told in words', (_what, given) => {
    const { schema: cut, note = '' } = cutSchema(given);
    expect(cut).toMatchObject({ type: 'object', additionalProperties: true });
    expect(note).toContain('Its input is an object after this JSON Schema: {');
    expect(note.length).toBeLessThan(1_600);
  });

  test.each<[what: string, keyword: object, left: object]>([
    ['a pattern that no engine takes', { pattern: '(((' }, {}],
    ['a bound of the old kind', { exclusiveMinimum: true }, {}],
    ['an unknown keyword', { 'x-ui': { deep: 1 } }, {}],
    ['a required that is no list', { required: 'a' }, {}],
    ['a pattern that is one', { pattern: '^a+$' }, { pattern: '^a+$' }],
  ])('loses %s alone', (_what, keyword, left) => {
    expect(cutSchema(schema({ a: { type: 'string', ...keyword } }))).toEqual({
      schema: schema({ a: { type: 'string', ...left } }),
    });
  });

  test.each([undefined, null, 7, [], 'x', {}])('%s is one that takes anything an object can be', (given) => {
    expect(cutSchema(given).schema.type).toBe('object');
  });
});

describe('a tool', () => {
  const read = (tool: object) => readTool(JSON.stringify(tool));
  test('is the same whatever the order of its fields', () => {
    const [one, other] = [
      read({ name: 'a', inputSchema: { type: 'object', x: 1 } }),
      read({ inputSchema: { x: 1, type: 'object' }, name: 'a', title: 'A' }),
    ];
    expect(one?.digest).toBe(other?.digest);
  });

  test('is another one with other words, another input, or another claim that it only reads', () => {
    const digests = [{}, { description: 'b' }, { inputSchema: {} }, { annotations: { readOnlyHint: true } }].map(
      (more) => read({ name: 'a', ...more })?.digest,
    );
    expect(new Set(digests).size).toBe(4);
  });

  test.each([
    '{}',
    '{"name": ""}',
    'null',
    '{"name": 1}',
    `{"name": "a", "inputSchema": ${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
  ])('%.40s is none', (json) => expect(readTool(json)).toBeUndefined());

  test('has no words that nobody sees, and not too many', () => {
    const { description } = apiTool(
      'n',
      's',
      definitionOf(read({ name: 'a', description: `a\u202e\u{e0041}b${'x'.repeat(9_000)}` }) ?? expect.unreachable()),
    );
    expect(description.startsWith('abxxx')).toBe(true);
    expect(description.length).toBeLessThan(2_010);
  });
});

test.each([
  [{}, false, false, 'ask'],
  [{ a: 'allow' }, false, false, 'allow'],
  [{ a: 'allow' }, false, true, 'ask'],
  [{ a: 'allow' }, true, true, 'allow'],
  [{ a: 'always' }, false, true, 'allow'],
  [{ '*': 'allow' }, false, false, 'allow'],
  [{ '*': 'allow', a: 'deny' }, true, false, 'deny'],
  [{ '*': 'deny', b: 'allow' }, true, false, 'deny'],
] as const)('by the rules %j a call (only reads: %s, tainted: %s) is %s', (rules, reads, tainted, what) => {
  const tool = { name: 'a', description: '', annotations: { readOnlyHint: reads } };
  expect(decideTool(rules, tool, tainted).do).toBe(what);
});

test('a schema that refers to many others is looked at in a moment', () => {
  const $defs = Object.fromEntries(Array.from({ length: 1_500 }, (_, index) => [`d${index}`, true]));
  const properties = Object.fromEntries(
    Array.from({ length: 1_200 }, (_, index) => [`p${index}`, { $ref: '#/$defs/d0' }]),
  );
  const tool = readTool(JSON.stringify({ name: 'a', inputSchema: { type: 'object', properties, $defs } }));
  const begun = performance.now();
  if (tool) apiTool('a', 'b', definitionOf(tool));
  expect(performance.now() - begun).toBeLessThan(whenBusy(50));
});
