// The protocol's client over a service: the credential, what is too long, what leads elsewhere, what only the owner can change.
import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { Client } from '@modelcontextprotocol/client';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createLoopCheck } from '../../test/fakes/loop-delay.js';
import { systemClock } from '../core/clock.js';
import { listen } from '../egress/testing/inside.js';
import { bearer, type Service } from '../services/list.js';
import { createHttpTransport } from './http.js';
import { createParser } from './parse.js';

let server: Server;
let service: Service;
let tokens: string[];
let answered: [number, string | undefined][];
let calls: string[];
/** What a call of the tool is answered with, instead of what is right. */
let misbehave: ((response: ServerResponse, id: number) => void) | undefined;

const send = (response: ServerResponse, message: object) =>
  response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's-1' }).end(JSON.stringify(message));

/** How often it was asked for its stream, which ends at once; undefined: it has none. */
let streams: number | undefined;
/** Told instead of taking what it asked for. */
let onAnswer: () => void;

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'GET' && streams !== undefined) {
    streams += 1;
    return void response.writeHead(200, { 'content-type': 'text/event-stream' }).end('retry: 1\nid: 1\ndata:\n\n');
  }
  if (request.method !== 'POST') return void response.writeHead(405).end();
  const { id, method } = Object(await json(request));
  if (method === undefined) return onAnswer();
  const { authorization, 'mcp-session-id': session = '' } = request.headers;
  calls.push(`${request.url} ${method} ${authorization} ${session}`);
  if (authorization !== 'Bearer good') return void response.writeHead(401).end();
  const reply = (result: object) => send(response, { jsonrpc: '2.0', id, result });
  if (id === undefined) return void response.writeHead(202).end();
  if (method === 'initialize')
    return void reply({
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'x', version: '1' },
    });
  if (misbehave) return misbehave(response, id);
  reply({ tools: [] });
}

beforeEach(async () => {
  [tokens, answered, calls, misbehave, streams] = [['good'], [], [], undefined, undefined];
  onAnswer = () => undefined;
  server = http.createServer((request, response) => void serve(request, response));
  service = {
    ...{
      kind: 'http',
      name: 'inbox',
      mcp: true,
      tools: {},
      url: new URL(`http://127.0.0.1:${await listen(server)}/mcp`),
    },
    ...{ description: '', groups: ['main'], rules: [], trusted: false, git: false, headers: [] },
    auth: { oauth2: { scopes: [] } },
  };
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const services = {
  credential: async () => bearer([tokens[0] ?? '']),
  async answered(
    _service: Service,
    _credential: object,
    { status, challenge }: { status: number; challenge?: string },
  ) {
    answered.push([status, challenge]);
    if (status === 401 && tokens.length > 1) tokens.shift();
  },
};
const parser = createParser(systemClock);
afterAll(parser.close);
async function list() {
  return ask((client) => client.listTools());
}
/** As `listTools` of session.ts gets it. */
const raw = () => ask((client) => client.request({ method: 'tools/list' }, z.object({ tools: z.array(z.string()) })));
async function ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ name: 'pinch', version: '1.0.0' });
  await client.connect(await createHttpTransport({ service, services, clock: systemClock, parser }));
  try {
    return await question(client);
  } finally {
    await client.close();
  }
}

test('every request has the credential, and the session of the server', async () => {
  expect(await list()).toMatchObject({ tools: [] });
  expect(calls[0]).toBe('/mcp initialize Bearer good ');
  expect(calls.at(-1)).toBe('/mcp tools/list Bearer good s-1');
});

test('a token that counts no more is asked for anew once, then it is an error', async () => {
  tokens = ['old', 'good'];
  expect(await list()).toMatchObject({ tools: [] });
  tokens = ['old', 'older'];
  calls = [];
  await expect(list()).rejects.toMatchObject({ code: 'no_credential' });
  expect(calls).toHaveLength(2);
});

test('further scopes are the owner’s: the call fails, nothing is tried again', async () => {
  const challenge = 'Bearer error="insufficient_scope", scope="write"';
  misbehave = (response) => void response.writeHead(403, { 'www-authenticate': challenge }).end();
  await expect(list()).rejects.toMatchObject({ code: 'insufficient_scope' });
  expect(answered.at(-1)).toEqual([403, challenge]);
  expect(calls.filter((call) => call.includes('tools/list'))).toHaveLength(1);
});

test('a redirect is not followed, not even to itself', async () => {
  misbehave = (response) => void response.writeHead(307, { location: '/mcp/other' }).end();
  await expect(list()).rejects.toMatchObject({ code: 'unreachable' });
  expect(calls.some((call) => call.startsWith('/mcp/other'))).toBe(false);
});

test('an answer without end is broken off', async () => {
  let sent = 0;
  misbehave = (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const more = (): void => {
      sent += 65_536;
      if (!response.destroyed) response.write(' '.repeat(65_536), more);
    };
    more();
  };
  await expect(list()).rejects.toThrow();
  expect(sent).toBeLessThan(20_000_000);
});

test('many messages in one answer are not one long message', async () => {
  misbehave = (response, id) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const note = {
      jsonrpc: '2.0',
      method: 'notifications/message',
      params: { level: 'info', data: 'x'.repeat(1_000_000) },
    };
    for (let count = 0; count < 15; count += 1) response.write(`data: ${JSON.stringify(note)}\n\n`);
    response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { tools: [] } })}\n\n`);
  };
  expect(await list()).toMatchObject({ tools: [] });
});

test.each(['application/json', 'text/event-stream'])('a long message (%s) is read off the event loop', async (type) => {
  misbehave = (response, id) => {
    const tools = [{ name: 'a', description: 'é', inputSchema: { type: 'object' } }];
    const said = JSON.stringify({ jsonrpc: '2.0', id, result: { x: [[]], tools } }).replace('[[]]', nested);
    response.writeHead(200, { 'content-type': type }).end(type.includes('event') ? `data: ${said}\n\n` : said);
  };
  const nested = `[${'[],'.repeat(600_000)}[]]`;
  const check = await createLoopCheck();
  await check(type, async () => {
    expect(await raw()).toMatchObject({ tools: [expect.stringContaining('"description":"é"')] });
  });
});

test('a server that asks for ever, and takes no answer, is ended', async () => {
  let [answers, most] = [0, 0];
  misbehave = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let id = 0; id < 20_000; id += 1) response.write(`data: {"jsonrpc":"2.0","id":"s${id}","method":"ping"}\n\n`);
  };
  onAnswer = () => {
    answers += 1;
    most = Math.max(most, answers);
  };
  await expect(list()).rejects.toThrow();
  expect(most).toBeLessThanOrEqual(64);
});

test('a stream that the server ends again and again is asked for a few times a second at most', async () => {
  streams = 0;
  const client = new Client({ name: 'pinch', version: '1.0.0' });
  await client.connect(await createHttpTransport({ service, services, clock: systemClock, parser }));
  await systemClock.sleep(1_500);
  await client.close();
  expect(streams).toBeGreaterThan(0);
  expect(streams).toBeLessThanOrEqual(8);
});
