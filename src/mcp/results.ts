// What a tool of an MCP server answered, as the container and people get it. Pure; bounded whatever it is.
import { printable } from '../core/one-line.js';
import type { McpBlock } from '../wire.js';
import type { CallResult } from './session.js';

const MAX_BLOCKS = 100;
const MAX_TEXT_CHARS = 2 * 1024 * 1024;
const MAX_BASE64_CHARS = 7 * 1024 * 1024;
/** For the owner, and as a message. */
const SHOWN_CHARS = 4_000;

type Part = CallResult['content'][number];
const textOf = (value: unknown, most = 2_000): string => (typeof value === 'string' ? value.slice(0, most) : '');

/** `structuredContent` says the same as the text, where there is any. */
export function blocksOf({ content, structuredContent }: CallResult): McpBlock[] {
  const room = { chars: MAX_TEXT_CHARS, base64: MAX_BASE64_CHARS };
  const blocks = content.slice(0, MAX_BLOCKS).map((part) => blockOf(part, room));
  if (content.length > MAX_BLOCKS) blocks.push(note('further blocks were left out'));
  const hasText = content.some(({ type }) => type === 'text');
  if (hasText || structuredContent === undefined || structuredContent === null) return blocks;
  const json = typeof structuredContent === 'string' ? structuredContent : JSON.stringify(structuredContent);
  return [...blocks, cut(json, room)];
}

const note = (text: string): McpBlock => ({ type: 'text', text: `[${text}]` });

function cut(text: string, room: { chars: number }): McpBlock {
  const kept = text.slice(0, room.chars);
  room.chars -= kept.length;
  const left = text.length - kept.length;
  return { type: 'text', text: left > 0 ? `${kept}\n[${left} more characters were left out]` : kept };
}

function blockOf(part: Part, room: { chars: number; base64: number }): McpBlock {
  const { type, text, data, mimeType, uri, name, description, resource } = part;
  if (type === 'text') return cut(typeof text === 'string' ? text : '', room);
  if (type === 'image') return bytes('image', data, textOf(mimeType, 200), 'image', room);
  if (type === 'audio') return bytes('file', data, textOf(mimeType, 200), 'audio', room);
  if (type === 'resource_link')
    return note(
      ['a link to', textOf(name), textOf(uri), textOf(mimeType, 200), textOf(description)].filter(Boolean).join(' '),
    );
  if (type !== 'resource' || typeof resource !== 'object' || resource === null)
    return note(`a block of type ${textOf(type, 40)} was left out`);
  const inner: { uri?: unknown; mimeType?: unknown; text?: unknown; blob?: unknown } = resource;
  if (typeof inner.text === 'string') return cut(`[${textOf(inner.uri)}]\n${inner.text}`, room);
  return bytes(
    'file',
    inner.blob,
    textOf(inner.mimeType, 200),
    textOf(inner.uri).split('/').at(-1) || 'resource',
    room,
  );
}

function bytes(
  type: 'image' | 'file',
  data: unknown,
  mimeType: string,
  name: string,
  room: { base64: number },
): McpBlock {
  if (typeof data !== 'string' || data === '' || data.length > room.base64)
    return note(
      `${type === 'image' ? 'a picture' : `the file ${name.slice(0, 100)}`} (${mimeType}) was left out: it is too large, or nothing`,
    );
  room.base64 -= data.length;
  return { type, data, mimeType, name: name.slice(0, 100) };
}

/** The beginning, in words. */
export function wordsOf(blocks: McpBlock[]): { text: string; isCut: boolean } {
  const all = blocks
    .map((block) => (block.type === 'text' ? block.text : `[${block.type}: ${block.mimeType}]`))
    .join('\n');
  return { text: printable(all.slice(0, SHOWN_CHARS)), isCut: all.length > SHOWN_CHARS };
}
