// One file: a gzipped tar archive, encrypted when there is a passphrase. Any tar program reads one that is not.
import { closeSync, createReadStream, createWriteStream, openSync, readSync, statSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { createTarDecoder, createTarPacker, type TarHeader } from 'modern-tar';
import { describeError, PinchError } from '../core/errors.js';
import { decrypting, encrypting, MARK } from './cipher.js';

export interface Entry {
  header: TarHeader;
  /** The bytes, `header.size` of them. To be read to its end. */
  body: Readable;
}

/** Writes what `entries` yields to a new file that only its owner may read. Resolves when it is on disk. */
export async function writeArchive(file: string, entries: AsyncIterable<Entry>, passphrase?: string): Promise<void> {
  const { readable, controller } = createTarPacker();
  const written = pipeline([
    Readable.fromWeb(readable),
    createGzip(),
    ...(passphrase === undefined ? [] : [encrypting(passphrase)]),
    createWriteStream(file, { flags: 'wx', mode: 0o600, flush: true }),
  ]);
  const packed = (async () => {
    for await (const { header, body } of entries) {
      const writer = controller.add(header).getWriter();
      for await (const chunk of body) await writer.write(chunk);
      await writer.close();
    }
    controller.finalize();
  })();
  packed.catch((error) => controller.error(error));
  await Promise.all([packed, written]).catch((cause: unknown) => {
    throw isFull(cause) ? noRoom(`the disk of ${file} is full`, cause) : cause;
  });
}

const isFull = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && /^(ENOSPC|EDQUOT)$/.test(`${error.code}`);

export const noRoom = (what: string, cause?: unknown): PinchError =>
  new PinchError('no_room', what, { hint: 'make room, or take another disk. Nothing has been changed', cause });

/** Throws PinchError when there is no such file. */
export function isEncrypted(file: string): boolean {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile())
    throw new PinchError('no_file', `there is no file ${file}`, { hint: 'give the path of a backup' });
  const start = Buffer.alloc(MARK.length);
  const fd = openSync(file, 'r');
  readSync(fd, start);
  closeSync(fd);
  return start.equals(MARK);
}

/** Calls `take` with each entry, one after the other. Throws PinchError `backup_damaged` when the file is cut, changed or none of ours. */
export async function readArchive(
  file: string,
  take: (entry: Entry) => Promise<void>,
  passphrase?: string,
): Promise<void> {
  const decoder = createTarDecoder({ strict: true });
  const bytes = pipeline([
    createReadStream(file),
    ...(passphrase === undefined ? [] : [decrypting(passphrase)]),
    createGunzip(),
    Writable.fromWeb(decoder.writable),
  ]);
  const taken = (async () => {
    for await (const { header, body } of decoder.readable) await take({ header, body: Readable.fromWeb(body) });
  })();
  try {
    await Promise.all([bytes, taken]);
  } catch (cause) {
    if (cause instanceof PinchError) throw cause;
    if (isFull(cause)) throw noRoom('the disk is full', cause);
    throw new PinchError(
      'backup_damaged',
      `${file} cannot be read as a backup${passphrase === undefined ? '' : ' with this passphrase'}: ${describeError(cause)}`,
      {
        hint: `${passphrase === undefined ? '' : 'is the passphrase right? '}Was it copied whole? Nothing has been changed`,
        cause,
      },
    );
  }
}
