// An MCP server that does what a test says: `node server.mjs <file>`. The file is JSON and read at each step, so that it can change meanwhile:
// `mode` says how it behaves, `tools` what it offers besides its own, `log` where it writes what it was told.
import { appendFileSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const file = process.argv[2] ?? '';
const script = () => JSON.parse(readFileSync(file, 'utf8'));
const write = (text) => new Promise((resolve) => process.stdout.write(text, resolve));
const send = (message) => write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const notify = (method, params = {}) => send({ method, params });
const object = { type: 'object', properties: { text: { type: 'string' } } };
const tool = (name, more = {}) => ({ name, description: `the tool ${name}`, inputSchema: object, ...more });
const MB = 1024 * 1024;

const OWN = [
  'echo',
  'die',
  'hang',
  'flood',
  'big',
  'endless',
  'deep',
  'lists',
  'progress',
  'slow',
  'refuse',
  'env',
  'odd',
  'media',
  'change',
  'chatter',
];
const readOnly = { annotations: { readOnlyHint: true } };

async function list({ id, params }) {
  const { mode, tools = [] } = script();
  if (mode === 'unlisted') return undefined;
  if (mode === 'cursor') return send({ id, result: { tools: [tool('echo')], nextCursor: 'again' } });
  if (mode === 'many') {
    const all = Array.from({ length: 20_000 }, (_, index) => tool(`t${index}`, { description: 'x'.repeat(200) }));
    return send({ id, result: { tools: all } });
  }
  if (mode === 'pages') {
    const at = Number(params?.cursor ?? 0);
    return send({ id, result: { tools: [tool(`page${at}`)], ...(at < 4 && { nextCursor: `${at + 1}` }) } });
  }
  const bomb = {
    outputSchema: { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } }, required: ['a'] },
  };
  const own = OWN.map((name) => tool(name, name === 'echo' ? readOnly : {}));
  return send({ id, result: { tools: [...own, tool('bomb', bomb), ...tools] } });
}

const CALLS = {
  echo: (args) => ({
    content: [{ type: 'text', text: `you said ${args.text}` }],
    structuredContent: { said: args.text },
  }),
  env: () => ({ content: [{ type: 'text', text: JSON.stringify({ env: process.env, cwd: process.cwd() }) }] }),
  bomb: () => ({ content: [], structuredContent: { a: `${'a'.repeat(60)}!` } }),
  odd: () => ({
    content: [
      { type: 'hologram', x: 1 },
      { type: 'text', text: 'and text' },
    ],
    _meta: { a: 1 },
  }),
  big: (args) => ({ content: [{ type: 'text', text: 'x'.repeat(Number(args.mb) * MB) }] }),
  media: (args) => ({
    content: [
      { type: 'image', data: args.png, mimeType: 'image/png' },
      { type: 'audio', data: Buffer.from('sound').toString('base64'), mimeType: 'audio/wav' },
      { type: 'resource', resource: { uri: 'x://a.txt', mimeType: 'text/plain', text: 'a resource' } },
      {
        type: 'resource',
        resource: { uri: 'x://dir/b.bin', mimeType: 'application/x', blob: Buffer.from('blob').toString('base64') },
      },
      { type: 'resource_link', uri: 'x://c', name: 'see c' },
    ],
  }),
};

async function call({ id, params }) {
  const { name, arguments: args = {}, _meta } = params;
  if (CALLS[name]) return send({ id, result: CALLS[name](args) });
  if (name === 'die') process.exit(3);
  if (name === 'hang') return new Promise(() => setInterval(() => undefined, 1_000));
  if (name === 'slow')
    return setTimeout(() => send({ id, result: { content: [{ type: 'text', text: 'at last' }] } }), 1_500);
  if (name === 'refuse') return send({ id, error: { code: -32000, message: 'I <b>will</b> not' } });
  if (name === 'flood')
    for (let n = 0; n < 300_000; n += 1) await notify('notifications/message', { level: 'info', data: n });
  if (name === 'chatter')
    for (let n = 0; n < 500; n += 1) await notify('notifications/message', { level: 'info', data: n });
  if (name === 'endless') for (let n = 0; n < 50; n += 1) await write('x'.repeat(MB));
  if (name === 'deep')
    return write(
      `{"jsonrpc":"2.0","id":${id},"result":{"content":[],"x":${'['.repeat(args.n)}${']'.repeat(args.n)}}}\n`,
    );
  if (name === 'lists') return write(`{"jsonrpc":"2.0","id":${id},"result":{"content":[${'[],'.repeat(args.n)}[]]}}\n`);
  if (name === 'progress')
    for (let n = 1; n <= 5; n += 1)
      await notify('notifications/progress', {
        progressToken: _meta?.progressToken,
        progress: n,
        total: 5,
        message: `step ${n}`,
      });
  if (name === 'change') await notify('notifications/tools/list_changed');
  return send({ id, result: { content: [{ type: 'text', text: `${name} did it` }] } });
}

const { mode, log } = script();
process.stderr.write('the server says hello on stderr\n');
if (mode === 'exit') {
  process.stderr.write('there is no backend\n');
  process.exit(1);
}
if (mode === 'garbage') for (let n = 0; n < 300; n += 1) await write(`warning ${n}\n`);
if (mode === 'banner') await write('welcome\n\n');
if (mode === 'noline') await write('no newline');
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (log) appendFileSync(log, `${line}\n`);
  if (script().mode === 'silent') continue;
  if (message.method === 'initialize')
    await send({
      id: message.id,
      result: {
        protocolVersion: '2025-06-18',
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 'test', version: '1' },
      },
    });
  else if (message.method === 'tools/list') await list(message);
  else if (message.method === 'tools/call') void call(message);
  else if (message.method === 'ping' && !script().deaf) await send({ id: message.id, result: {} });
}
if (!script().stays) process.exit(0);
setInterval(() => undefined, 1_000);
