// How the Bot API reads a call: JSON, urlencoded or multipart bodies all become text fields and files, as on the real server.
// Knows nothing about methods, chats or messages.

/** An error in the Bot API's own shape; `parameters` carries `retry_after` (seconds) or `migrate_to_chat_id`. */
export class ApiError extends Error {
  readonly status: number;
  readonly description: string;
  readonly parameters: Record<string, number> | undefined;
  constructor(status: number, description: string, parameters?: Record<string, number>) {
    super(`${status}: ${description}`);
    this.name = 'ApiError';
    this.status = status;
    this.description = description;
    this.parameters = parameters;
  }
}

export function badRequest(what: string): ApiError {
  return new ApiError(400, `Bad Request: ${what}`);
}

export interface UploadedFile {
  fileName: string;
  mimeType: string;
  bytes: Buffer;
}

/** Every field is text: numbers, booleans and objects stay in their JSON spelling until a method reads them. */
export interface CallParams {
  fields: Map<string, string>;
  files: Map<string, UploadedFile>;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads query string and body. Throws `ApiError` 400 for text that is not UTF-8, lone surrogates and broken bodies. */
export function readParams(contentType: string, body: Buffer, query: string): CallParams {
  const params: CallParams = { fields: new Map(), files: new Map() };
  readForm(params, query);
  if (body.length > 0) readBody(params, contentType, body);
  for (const value of params.fields.values()) checkText(value);
  return params;
}

function readBody(params: CallParams, contentType: string, body: Buffer): void {
  const kind = contentType.split(';')[0]?.trim().toLowerCase();
  if (kind === 'application/json') readJson(params, decodeUtf8(body));
  else if (kind === 'application/x-www-form-urlencoded') readForm(params, body.toString('latin1'));
  else if (kind === 'multipart/form-data') {
    const boundary = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType);
    readMultipart(params, body, boundary?.[1] ?? boundary?.[2] ?? '');
  } else throw badRequest(`unsupported content type ${contentType}`);
}

/** `form` holds one character a byte. Escapes are bytes first: the URL classes would repair broken UTF-8 in silence. */
function readForm(params: CallParams, form: string): void {
  for (const pair of form.split('&')) {
    const [name = '', ...value] = pair.replaceAll('+', ' ').split('=');
    if (name !== '') params.fields.set(decodeUtf8(unescapeBytes(name)), decodeUtf8(unescapeBytes(value.join('='))));
  }
}

/** Percent escapes as bytes; what is no escape stays as it is. `text` holds one character a byte. */
export function unescapeBytes(text: string): Buffer {
  const bytes = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}

function readJson(params: CallParams, text: string): void {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw badRequest("can't parse JSON object");
  }
  if (!isRecord(parsed)) throw badRequest("can't parse JSON object");
  for (const [name, value] of Object.entries(parsed)) {
    // JSON.stringify would hide a lone surrogate inside a nested object as an escape: look before.
    walkTexts(value);
    params.fields.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
}

function walkTexts(value: unknown): void {
  if (typeof value === 'string') checkText(value);
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) walkTexts(inner);
}

function checkText(text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw badRequest('strings must be encoded in UTF-8');
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw badRequest('strings must be encoded in UTF-8');
  }
}

/** RFC 7578: parts between `--boundary` lines, closed by `--boundary--`. */
function readMultipart(params: CallParams, body: Buffer, boundary: string): void {
  if (boundary === '') throw badRequest('boundary is missing in the multipart content type');
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const bytes = Buffer.concat([Buffer.from('\r\n'), body]);
  let at = bytes.indexOf(delimiter);
  while (at >= 0) {
    const start = at + delimiter.length;
    if (bytes.toString('latin1', start, start + 2) === '--') return;
    const next = bytes.indexOf(delimiter, start);
    if (next < 0) break;
    readPart(params, bytes.subarray(start + 2, next));
    at = next;
  }
  throw badRequest('multipart body is not closed');
}

function readPart(params: CallParams, part: Buffer): void {
  const headEnd = part.indexOf('\r\n\r\n');
  if (headEnd < 0) throw badRequest('multipart part has no header');
  const head = part.toString('utf8', 0, headEnd);
  const content = Buffer.from(part.subarray(headEnd + 4));
  const name = dispositionValue(head, 'name');
  if (name === undefined) throw badRequest('multipart part has no name');
  const fileName = dispositionValue(head, 'filename');
  if (fileName === undefined) {
    params.fields.set(name, decodeUtf8(content));
    return;
  }
  const mimeType = /^content-type:\s*(\S+)/im.exec(head)?.[1] ?? 'application/octet-stream';
  params.files.set(name, { fileName, mimeType, bytes: content });
}

function dispositionValue(head: string, key: string): string | undefined {
  const found = new RegExp(`[;\\s]${key}=(?:"([^"]*)"|([^;\\r\\n]+))`, 'i').exec(head);
  return found?.[1] ?? found?.[2];
}

/** An integer field, or `fallback` when it is absent or not a number (as the real server does). */
export function integerField(params: CallParams, name: string, fallback: number): number {
  const text = params.fields.get(name);
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : fallback;
}

export function booleanField(params: CallParams, name: string): boolean {
  const text = params.fields.get(name)?.toLowerCase();
  return text === 'true' || text === '1' || text === 'yes';
}

/** A field that holds JSON. Throws 400 with `can't parse <what>`; undefined when absent. */
export function jsonField(params: CallParams, name: string, what: string): unknown {
  const text = params.fields.get(name);
  if (text === undefined || text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest(`can't parse ${what} JSON object`);
  }
}
