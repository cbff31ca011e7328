// Files of the web chat, on the host alone: what its owner attached, by a name that nobody guesses, and what the assistant sent, by its message.
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ChannelError } from './channel.js';
import { tooLarge } from './download.js';

/** As large as what a run takes in. */
export const MAX_ATTACHED_BYTES = 20 * 1024 * 1024;
const REF = /^[\w-]{24}$/;

export const isAttachmentRef = (ref: string): boolean => REF.test(ref);

export type WebFiles = ReturnType<typeof createWebFiles>;

/** `folder` is made when it is needed. */
export function createWebFiles(folder: string) {
  const ready = () => mkdir(folder, { recursive: true, mode: 0o700 });
  /** Whole or not at all. */
  async function finish(part: string, name: string): Promise<void> {
    const file = await open(part, 'r');
    await file.sync();
    await file.close();
    await rename(part, join(folder, name));
  }
  const attached = (ref: string): string => {
    if (!isAttachmentRef(ref)) throw new ChannelError('permanent', 'there is no such file');
    return join(folder, ref);
  };
  return {
    attached,
    /** Of the row of the outbox with this number. */
    sent: (outboxId: number): string => join(folder, `sent-${outboxId}`),
    /** Keeps what was attached, and says by which name. Throws `ChannelError` when it is larger than allowed. */
    async keep(pieces: AsyncIterable<Uint8Array>): Promise<{ ref: string; sizeBytes: number }> {
      await ready();
      const ref = randomBytes(18).toString('base64url');
      const part = join(folder, `${ref}.part`);
      let sizeBytes = 0;
      try {
        const file = await open(part, 'w', 0o600);
        try {
          for await (const piece of pieces) {
            sizeBytes += piece.byteLength;
            if (sizeBytes > MAX_ATTACHED_BYTES) throw tooLarge(MAX_ATTACHED_BYTES);
            await file.appendFile(piece);
          }
        } finally {
          await file.close();
        }
        await finish(part, ref);
      } finally {
        await rm(part, { force: true });
      }
      return { ref, sizeBytes };
    },
    /** Keeps a copy of what is sent; harmless when repeated. */
    async keepSent(outboxId: number, path: string): Promise<void> {
      await ready();
      const part = join(folder, `sent-${outboxId}.part`);
      await copyFile(path, part);
      await finish(part, `sent-${outboxId}`);
    },
    /** What was attached, for a run. Throws `ChannelError`. */
    async read(ref: string, maxBytes: number): Promise<Buffer> {
      const { size } = await stat(attached(ref)).catch((cause: unknown) => {
        throw new ChannelError('permanent', 'it is not kept any more', { cause });
      });
      if (size > maxBytes) throw tooLarge(maxBytes);
      return readFile(attached(ref));
    },
  };
}
