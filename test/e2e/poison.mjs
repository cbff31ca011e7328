// Loaded into a daemon: ends it, or throws, where it meets certain words, as a fault in a library or in the engine would. Each word has its place.
import { appendFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { ClientRequest } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { proto } from '@whiskeysockets/baileys';
import Database from 'better-sqlite3';

/**
 * @param {string} word
 * @param {'kill' | 'exit'} how
 */
function end(word, how) {
  appendFileSync(process.env.POISON_RECORD ?? '', `${word}\n`);
  if (how === 'exit') process.exit(7);
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

/** Has `look` see the arguments of each call of a method before it is made. */
function watch(object, name, look) {
  const call = object[name];
  object[name] = function (...args) {
    look(this, ...args);
    return call.apply(this, args);
  };
}

if (isMainThread) {
  const statement = new Database(':memory:').prepare('SELECT 1');
  for (const name of ['run', 'get', 'all'])
    watch(Object.getPrototypeOf(statement), name, ({ source }, values) => {
      const has = (word) =>
        Object.values(values ?? {}).some((value) => typeof value === 'string' && value.includes(word));
      if (/INTO messages \(/.test(source) && has('poison-update')) end('poison-update', 'kill');
      if (/INTO messages \(/.test(source) && has('refused-')) throw new TypeError('a value of that kind is refused');
      if (/INTO messages_fts/.test(source) && has('poisonindex')) end('poisonindex', 'kill');
      if (/INTO runs/.test(source) && has('poison-slot')) end('poison-slot', 'kill');
      if (/INTO slots/.test(source) && has('poison-hook')) end('poison-hook', 'exit');
    });
  watch(proto.Message, 'encode', (_, message) => {
    if (message?.conversation?.includes('poison-answer')) end('poison-answer whatsapp', 'exit');
  });
  const decode = proto.Message.decode;
  proto.Message.decode = (...args) => {
    const message = decode.apply(proto.Message, args);
    if (message.conversation?.includes('poison-stanza')) end('poison-stanza', 'kill');
    return message;
  };
  for (const name of ['write', 'end'])
    watch(ClientRequest.prototype, name, ({ path }, chunk) => {
      if (/\/sendMessage$/.test(path) && String(chunk ?? '').includes('poison-answer'))
        end('poison-answer telegram', 'exit');
    });
  watch(files, 'writeFile', (_, __, bytes) => {
    if (bytes instanceof Uint8Array && Buffer.from(bytes).includes('poison-file')) end('poison-file', 'exit');
  });
  syncBuiltinESMExports();
  const stringify = JSON.stringify;
  JSON.stringify = (...args) => {
    const text = stringify(...args);
    const [value] = args;
    if (value?.type === 'run' && text.includes('poison-run')) end('poison-run', 'kill');
    if (Array.isArray(value?.tasks) && text.includes('poison-page')) end('poison-page', 'kill');
    return text;
  };
}
