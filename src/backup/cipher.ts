// The passphrase of a backup: AES-256-GCM with a key made by scrypt. The file begins with a mark, the salt and the nonce, and ends with the tag,
// so a file that was changed or cut is found out at its end, before anything of it is used.
import { createCipheriv, createDecipheriv, type DecipherGCM, randomBytes, scryptSync } from 'node:crypto';
import { Transform } from 'node:stream';
import { PinchError } from '../core/errors.js';

/** How an encrypted backup begins. */
export const MARK = Buffer.from('PINCH-BACKUP-1\n');
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = MARK.length + SALT_BYTES + NONCE_BYTES;
/** 64 MiB of memory and some 0.2 s for each guess. */
const COST = { N: 2 ** 16, r: 8, p: 1, maxmem: 2 ** 27 };

const keyOf = (passphrase: string, salt: Buffer) => scryptSync(passphrase.normalize('NFKC'), salt, 32, COST);

/** What is written to it comes out encrypted. */
export function encrypting(passphrase: string): Transform {
  const [salt, nonce] = [randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES)];
  const cipher = createCipheriv('aes-256-gcm', keyOf(passphrase, salt), nonce);
  let head: Buffer | undefined = Buffer.concat([MARK, salt, nonce]);
  const withHead = (bytes: Buffer) => {
    const all = head ? Buffer.concat([head, bytes]) : bytes;
    head = undefined;
    return all;
  };
  return new Transform({
    transform: (chunk, _encoding, done) => done(null, withHead(cipher.update(chunk))),
    flush: (done) => done(null, withHead(Buffer.concat([cipher.final(), cipher.getAuthTag()]))),
  });
}

/** The way back. Fails with PinchError `backup_damaged` at the end of a file that is not what was written, or of another passphrase. */
export function decrypting(passphrase: string): Transform {
  let decipher: DecipherGCM | undefined;
  let held = Buffer.alloc(0);
  const start = () => {
    const salt = held.subarray(MARK.length, MARK.length + SALT_BYTES);
    const made = createDecipheriv(
      'aes-256-gcm',
      keyOf(passphrase, salt),
      held.subarray(HEAD_BYTES - NONCE_BYTES, HEAD_BYTES),
    );
    held = held.subarray(HEAD_BYTES);
    return made;
  };
  return new Transform({
    transform(chunk, _encoding, done) {
      held = Buffer.concat([held, chunk]);
      if (!decipher && held.length < HEAD_BYTES) return done();
      decipher ??= start();
      // The last bytes may be the tag.
      const ready = Math.max(0, held.length - TAG_BYTES);
      const plain = decipher.update(held.subarray(0, ready));
      held = held.subarray(ready);
      done(null, plain);
    },
    flush(done) {
      try {
        if (!decipher || held.length < TAG_BYTES) throw new Error('it ends too soon');
        decipher.setAuthTag(held);
        done(null, decipher.final());
      } catch (cause) {
        done(
          new PinchError('backup_damaged', 'the backup cannot be read with this passphrase, or it is damaged', {
            hint: 'is it the passphrase of this file? Was the file copied whole?',
            cause,
          }),
        );
      }
    },
  });
}
