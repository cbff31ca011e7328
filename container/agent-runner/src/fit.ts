// What a turn has room for: a message that is too long is shown as far as it goes, messages that are too many are kept in a file, and both are
// named. Knows files of the inbox, nothing of the host.
import fs from 'node:fs';
import path from 'node:path';
import { describeError } from '../../../src/core/errors.js';
import type { Paths, RunContext } from './context.js';
import { leftOutXml, messageXml, type ShownMessage } from './prompt.js';
import { headBytes } from './text.js';

/** Of one message, and of all messages of a turn as the model reads them. */
const MAX_MESSAGE_BYTES = 16_000;
const SHOWN_BYTES = 6_000;
const MAX_TURN_BYTES = 64_000;
/** Of what a script printed or a hook received: nobody asked for less of it. */
const MAX_UNTRUSTED_BYTES = 32_000;

/** Writes the file anew and returns its path. Throws when it cannot be there. */
export function keepFile(file: string, content: Uint8Array | string): string {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  // Renamed when it is whole, so that a second attempt never finds half a file. What stands there may be a pipe, which nobody reads.
  fs.rmSync(`${file}.part`, { force: true, recursive: true });
  fs.writeFileSync(`${file}.part`, content, { flag: 'wx' });
  fs.renameSync(`${file}.part`, file);
  return file;
}

/** Keeps a text in the inbox; returns words that name the file, or say why there is none. */
export function keepText({ workspace }: Pick<Paths, 'workspace'>, name: string, text: string): string {
  try {
    return `all of it is in ${keepFile(path.join(workspace, 'inbox', name), text)}`;
  } catch (error) {
    return `the rest could not be kept: ${describeError(error)}`;
  }
}

/** The message with what is too long in files of the inbox. */
export function shorten(paths: Pick<Paths, 'workspace'>, message: ShownMessage): ShownMessage {
  const cut = (text: string, most: number, name: string) => {
    if (Buffer.byteLength(text) <= most) return undefined;
    const start = headBytes(text, most === MAX_MESSAGE_BYTES ? SHOWN_BYTES : most);
    const kept = keepText(paths, `${Math.abs(message.id)}-${name}.txt`, text);
    return { start, words: `this is its beginning, ${start.length} of ${text.length} characters; ${kept}` };
  };
  const text = cut(message.text, MAX_MESSAGE_BYTES, 'message');
  const { untrusted } = message;
  const data = untrusted && cut(untrusted.text, MAX_UNTRUSTED_BYTES, 'untrusted');
  return {
    ...message,
    ...(text && { text: text.start, cut: text.words }),
    ...(untrusted && data && { untrusted: { ...untrusted, text: data.start }, cutUntrusted: data.words }),
  };
}

/** The newest messages, as many as fit; `before` names the file with the others and says what was left out. The newest is always there. */
export function fit({ paths, run }: Pick<RunContext, 'paths' | 'run'>, messages: ShownMessage[]) {
  const xml = messages.map((message) => messageXml(message, run.timeZone));
  let [at, left] = [messages.length, MAX_TURN_BYTES];
  for (; at > 0; at -= 1) {
    left -= Buffer.byteLength(JSON.stringify(xml[at - 1]));
    if (left < 0 && at < messages.length) break;
  }
  const [kept, fitting] = [messages.slice(0, at), messages.slice(at)];
  const [first, last] = [kept[0], kept.at(-1)];
  if (!first || !last) return { fitting, before: [] };
  const file = keepText(paths, `messages-${first.id}-${last.id}.xml`, xml.slice(0, at).join('\n'));
  const leftOut = leftOutXml(kept.reduce((sum, message) => sum + (message.leftOut ?? 0), 0));
  const many = `<left-out>${kept.length} messages that came before these do not fit here; ${file}</left-out>`;
  return { fitting, before: [`${leftOut}${many}`] };
}
