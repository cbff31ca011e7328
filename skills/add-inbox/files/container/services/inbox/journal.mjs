// Which mails went out, by their keys: files in a folder that outlives this program. A mail whose file is there is never sent again.
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const entry = z.object({
  state: z.enum(['sending', 'sent']),
  /** Of what was to be sent. */
  hash: z.string(),
  at: z.string(),
});

/**
 * @typedef {z.infer<typeof entry>} Entry
 * @typedef {ReturnType<typeof createJournal>} Journal
 */

/** @param {string} folder */
export function createJournal(folder) {
  const fileOf = (/** @type {string} */ key) => join(folder, `${createHash('sha256').update(key).digest('hex')}.json`);
  return {
    /**
     * What is known of the key. A file that cannot be read counts as a mail that may have gone out.
     * @param {string} key
     * @returns {Entry | 'unreadable' | undefined}
     */
    get(key) {
      try {
        return entry.parse(JSON.parse(readFileSync(fileOf(key), 'utf8')));
      } catch (error) {
        return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? undefined : 'unreadable';
      }
    },
    /**
     * On the disk when it returns.
     * @param {string} key
     * @param {Entry} value
     */
    put(key, value) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const file = fileOf(key);
      write(`${file}.new`, JSON.stringify(value));
      renameSync(`${file}.new`, file);
      sync(folder);
    },
    /** It certainly did not go out. @param {string} key */
    forget: (key) => rmSync(fileOf(key), { force: true }),
  };
}

/** @param {string} file @param {string} text */
function write(file, text) {
  const handle = openSync(file, 'w', 0o600);
  writeSync(handle, text);
  fsyncSync(handle);
  closeSync(handle);
}

/** Makes a rename last. @param {string} folder */
function sync(folder) {
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}
