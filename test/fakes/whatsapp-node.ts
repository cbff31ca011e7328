// The stanzas of the WhatsApp protocol: building and reading them. Knows nothing about what they mean.
import type { BinaryNode } from '@whiskeysockets/baileys';

export type { BinaryNode } from '@whiskeysockets/baileys';

export type Attrs = Record<string, string | undefined>;
export type Content = BinaryNode[] | string | Uint8Array;

export const SERVER = 's.whatsapp.net';

/** `<tag attrs>content</tag>`; attributes that are undefined are left out. */
export function el(tag: string, attrs: Attrs = {}, content?: Content): BinaryNode {
  const kept: BinaryNode['attrs'] = {};
  for (const [key, value] of Object.entries(attrs)) if (value !== undefined) kept[key] = value;
  return content === undefined ? { tag, attrs: kept } : { tag, attrs: kept, content };
}

export function childrenOf(node: BinaryNode | undefined, tag?: string): BinaryNode[] {
  const all = Array.isArray(node?.content) ? node.content : [];
  return tag === undefined ? all : all.filter((child) => child.tag === tag);
}

/** The first child of that name, then its first child of the next name, and so on. */
export function childOf(node: BinaryNode | undefined, ...path: string[]): BinaryNode | undefined {
  let found = node;
  for (const tag of path) found = childrenOf(found, tag)[0];
  return found;
}

/** The bytes at that path. Throws when there are none: a real server would refuse the stanza. */
export function bytesAt(node: BinaryNode | undefined, ...path: string[]): Buffer {
  const content = childOf(node, ...path)?.content;
  if (content instanceof Uint8Array) return Buffer.from(content);
  if (typeof content === 'string') return Buffer.from(content);
  throw new Error(`no bytes at ${path.join('/')} in <${node?.tag}>`);
}

/** A big-endian number at that path. */
export function numberAt(node: BinaryNode | undefined, ...path: string[]): number {
  const bytes = bytesAt(node, ...path);
  return bytes.readUIntBE(0, bytes.length);
}

/** Whole seconds since 1970, as stanzas carry them. */
export const nowSeconds = (): string => String(Math.floor(Date.now() / 1000));

/** `4911` of `4911:7@s.whatsapp.net`. */
export const userOf = (jid: string): string => jid.split(/[:@]/, 1)[0] ?? '';

/** 7 of `4911:7@s.whatsapp.net`, 0 without a device: the phone itself. */
export const deviceOf = (jid: string): number => Number(/:(\d+)@/.exec(jid)?.[1] ?? 0);
