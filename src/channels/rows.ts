// What channels keep of their link to an account, by channel, kind and id. The values are the channel's own.
import { z } from 'zod';
import type { Statements } from '../core/statements.js';
import type { ChannelRow, ChannelStorage } from './channel.js';

const authRow = z.object({ id: z.string(), value: z.string() });

export function createChannelAuth({ rows, run, count }: Statements, transaction: (work: () => void) => void) {
  const get = rows(authRow).all<[channel: string, kind: string, ids: string[]]>(
    'SELECT id, value FROM channel_auth WHERE channel = ?1 AND kind = ?2 AND id IN (SELECT value FROM json_each(?3))',
  );
  const put = run<[channel: string, row: ChannelRow['kind'], id: string, value: string, now: number]>(
    `INSERT INTO channel_auth (channel, kind, id, value, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (channel, kind, id) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`,
  );
  const remove = run<[channel: string, kind: string, id: string]>(
    'DELETE FROM channel_auth WHERE channel = ?1 AND kind = ?2 AND id = ?3',
  );
  const prune = count<[channel: string, kind: string, before: number]>(
    'DELETE FROM channel_auth WHERE channel = ?1 AND kind = ?2 AND updated_at < ?3',
  );
  const rename = run<[channel: string, name: string]>('UPDATE channel_auth SET channel = ?2 WHERE channel = ?1');
  return {
    /** The rows of one channel. */
    of: (channel: string, now: () => number): ChannelStorage => ({
      get: (kind, ids) => Object.fromEntries(get(channel, kind, ids).map(({ id, value }) => [id, value])),
      set: (rows) =>
        transaction(() => {
          for (const { kind, id, value } of rows)
            if (value === null) remove(channel, kind, id);
            else put(channel, kind, id, value, now());
        }),
      prune: (kind, before) => void prune(channel, kind, before),
      archive: () => void rename(channel, `${channel}@${now()}`),
    }),
  };
}
