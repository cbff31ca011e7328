// An MCP server over HTTP in the hands of a container: its tools, the owner's rules, its credential, and no other way to it.
import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listen } from '../egress/testing/inside.js';
import { type McpHome, startMcpHome } from './testing/home.js';

let home: McpHome;
let server: Server;
let heard: string[];
let session: number;

beforeEach(async () => {
  [heard, session] = [[], 1];
  server = http.createServer((request, response) => void serve(request, response));
  const url = `http://127.0.0.1:${await listen(server)}/mcp`;
  home = await startMcpHome();
  const tools = { look: 'always', 'write.it': 'ask', burn: 'deny' };
  home.write({ test: { kind: 'http', mcp: true, url, groups: ['main'], auth: { bearer: 'TOKEN' }, tools } });
});
afterEach(async () => {
  await home.end();
  server.closeAllConnections();
  server.close();
});

const TOOLS = ['look', 'write.it', 'burn'].map((name) => ({ name, inputSchema: { type: 'object' } }));

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST') return void response.writeHead(405).end();
  const { id, method, params } = Object(await json(request));
  const { authorization, 'mcp-session-id': known } = request.headers;
  heard.push(`${method} ${params?.name ?? ''} ${authorization}`);
  if (known !== undefined && known !== `s-${session}`) return void response.writeHead(404).end();
  if (id === undefined) return void response.writeHead(202).end();
  const results: Record<string, object> = {
    initialize: {
      ...{ protocolVersion: '2025-11-25', capabilities: { tools: {} } },
      serverInfo: { name: 'x', version: '1' },
    },
    'tools/list': { tools: TOOLS },
    'tools/call': { content: [{ type: 'text', text: `you are ${authorization}` }] },
  };
  const head = { 'content-type': 'application/json', 'mcp-session-id': `s-${session}` };
  response.writeHead(200, head).end(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] }));
}

test('its tools are there, called with the credential, which does not come back', async () => {
  expect((await home.tools()).names).toEqual(['mcp__test__look', 'mcp__test__write_it']);
  const { status, lines } = await home.call('look');
  expect(status).toBe(200);
  expect(heard.at(-1)).toBe('tools/call look Bearer tok-0123456789');
  expect(JSON.stringify(lines)).toContain('you are Bearer **************');
  expect(home.mcpEvents()).toMatchObject([{ service: 'test', tool: 'look', verdict: 'allowed' }]);
});

test('what asks is asked for, and done once by the host after the yes', async () => {
  await home.tools();
  expect(JSON.stringify(await home.call('write_it', { text: 'x' }))).toContain("needs the owner's yes");
  expect(heard.filter((line) => line.startsWith('tools/call'))).toEqual([]);
  home.approvals.decide(1, { decision: 'allow', by: 'test' });
  await home.approvals.wait(1, 10_000);
  expect(heard.filter((line) => line.startsWith('tools/call'))).toEqual(['tools/call write.it Bearer tok-0123456789']);
});

test('there is no way around its tools', async () => {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call' });
  const { status } = await fetch(`http://127.0.0.1:${home.port}/service/test/`, { method: 'POST', body });
  expect(status).toBe(404);
  expect(heard).toEqual([]);
  expect(home.module.forRun(home.group.id)).toEqual([]);
  expect(home.mcp.forRun(home.group.id)).toEqual([{ name: 'test', description: '' }]);
});

test('a session that the server forgot is begun anew', async () => {
  await home.tools();
  expect((await home.call('look')).status).toBe(200);
  session = 2;
  expect(JSON.stringify((await home.call('look')).lines)).toContain('error');
  expect((await home.call('look')).status).toBe(200);
});

test('the owner sees it with its tools, tries it, and what it adds to the prompt', async () => {
  expect(await home.api('/api/services/test/test', 'POST')).toMatchObject({ state: 'running' });
  const { services } = await home.api('/api/services');
  expect(services[0]).toMatchObject({ name: 'test', kind: 'http', auth: 'bearer', server: { state: 'running' } });
  expect(home.mcp.promptParts()).toMatchObject([{ name: 'test', adds: expect.stringMatching(/^2 tools/) }]);
  expect(JSON.stringify(services)).not.toContain('tok-0123456789');
});

test('one that does not take the credential says so to the owner, not to the agent', async () => {
  home.write({
    test: { kind: 'http', mcp: true, url: 'http://127.0.0.1:1/mcp', groups: ['main'], auth: { bearer: 'TOKEN' } },
  });
  const { problems } = await home.tools();
  expect(problems).toEqual([{ service: 'test', problem: expect.stringContaining('is not ready') }]);
  expect((await home.api('/api/services/test/test', 'POST')).error.message).toContain('ECONNREFUSED');
});
