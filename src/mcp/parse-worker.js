// Long lines of MCP servers are read here, off the event loop. What goes back is light: a few hundred texts at most, whatever a server made up.
import { parentPort } from 'node:worker_threads';

const MAX_ITEMS = 500;
const MAX_BLOCKS = 100;
const MAX_TEXT_CHARS = 2 * 1024 * 1024;
const MAX_BASE64_CHARS = 7 * 1024 * 1024;

const isObject = (value) => typeof value === 'object' && value !== null;
const text = (value, most) => (typeof value === 'string' ? value.slice(0, most) : undefined);

/** The strings of an object: nothing else of a block of content is used. Pictures and files are whole or not there. */
function strings(value, room) {
  const kept = {};
  for (const [key, most] of [
    ['type', 100],
    ['mimeType', 200],
    ['uri', 2_000],
    ['name', 500],
    ['description', 2_000],
  ])
    if (typeof value[key] === 'string') kept[key] = value[key].slice(0, most);
  for (const key of ['data', 'blob']) {
    if (typeof value[key] !== 'string') continue;
    kept[key] = value[key].length <= room.base64 ? value[key] : '';
    room.base64 -= kept[key].length;
  }
  if (typeof value.text === 'string') {
    kept.text = value.text.slice(0, room.chars);
    room.chars -= kept.text.length;
    if (kept.text.length < value.text.length)
      kept.text += `\n[${value.text.length - kept.text.length} more characters were left out]`;
  }
  return kept;
}

function light({ jsonrpc, id, method, error, result }) {
  const head = { jsonrpc, id };
  if (typeof method === 'string') return { ...head, method: text(method, 200) };
  if (isObject(error))
    return { ...head, error: { code: Number(error.code), message: text(error.message, 4_000) ?? '' } };
  if (!isObject(result)) return { ...head, result: {} };
  if (Array.isArray(result.tools)) {
    const tools = result.tools.slice(0, MAX_ITEMS + 1).map((tool) => JSON.stringify(tool));
    return { ...head, result: { tools, nextCursor: text(result.nextCursor, 10_000) } };
  }
  const room = { chars: MAX_TEXT_CHARS, base64: MAX_BASE64_CHARS };
  const content = (Array.isArray(result.content) ? result.content : []).filter(isObject).map((block, index) => {
    if (index >= MAX_BLOCKS) return { type: 'more' };
    return { ...strings(block, room), ...(isObject(block.resource) && { resource: strings(block.resource, room) }) };
  });
  const hasText = content.some((block) => block.text !== undefined);
  const { structuredContent } = result;
  return {
    ...head,
    result: {
      content: content.slice(0, MAX_BLOCKS + 1),
      isError: result.isError === true,
      ...(isObject(structuredContent) &&
        !hasText && { structuredContent: strings({ text: JSON.stringify(structuredContent) }, room).text }),
    },
  };
}

parentPort.on('message', ({ id, line }) => {
  try {
    parentPort.postMessage({ id, message: light(JSON.parse(Buffer.from(line).toString())) });
  } catch (error) {
    parentPort.postMessage({ id, error: String(error?.message).slice(0, 200) });
  }
});
