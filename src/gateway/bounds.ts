// What one container can make the host hold and do: bytes of calls that are not over, calls per second. Kept in memory, per link and over
// all links; gone with the link. Knows nothing about what a call is.
import type { ServerResponse } from 'node:http';

const MIB = 1024 * 1024;
const LINK_BYTES = 48 * MIB;
const ALL_BYTES = 96 * MIB;
/** Always free for each link: two that use up what all may hold must not silence the others. */
const FREE_BYTES = MIB;
/** Calls per second, and how many may come at once; the report that ends a run must get through however often a script calls. */
const RATES = { call: [50, 200], history: [4, 8], finish: [20, 60], memory: [2, 10] } as const;
export type Rate = keyof typeof RATES;
const NOTE_EVERY_MS = 60_000;

/** What one call makes the host hold. */
export interface Room {
  /** False when these bytes are too many; they are then not counted. */
  take(bytes: number): boolean;
  /** Gives all of it back; done by itself when the call is over. Harmless twice. */
  leave(): void;
}

export type LinkBounds = ReturnType<ReturnType<typeof createBounds>>;

/** The returned function makes the bounds of one link. */
export function createBounds(now: () => number) {
  const all = { bytes: 0 };
  return () => {
    const own = { bytes: 0 };
    const buckets = {
      call: createBucket(RATES.call, now),
      history: createBucket(RATES.history, now),
      finish: createBucket(RATES.finish, now),
      memory: createBucket(RATES.memory, now),
    };
    const notedAt = new Map<string, number>();
    return {
      /** Whether one more call of this kind may come now. */
      admit: (kind: Rate): boolean => buckets[kind](),
      /** True once a minute for each kind of refusal, of which there are a few: then it is worth a line in a timeline. */
      worthNoting(kind: string): boolean {
        if (now() - (notedAt.get(kind) ?? Number.NEGATIVE_INFINITY) < NOTE_EVERY_MS) return false;
        notedAt.set(kind, now());
        return true;
      },
      room: (response: ServerResponse): Room => openRoom(own, all, response),
    };
  };
}

function openRoom(own: { bytes: number }, all: { bytes: number }, response: ServerResponse): Room {
  let mine = 0;
  const room = {
    take(bytes: number): boolean {
      const link = own.bytes + bytes;
      if (link > FREE_BYTES && (link > LINK_BYTES || all.bytes + bytes > ALL_BYTES)) return false;
      for (const sum of [own, all]) sum.bytes += bytes;
      mine += bytes;
      return true;
    },
    leave(): void {
      for (const sum of [own, all]) sum.bytes -= mine;
      mine = 0;
    },
  };
  response.once('close', room.leave);
  return room;
}

/** A token bucket. */
function createBucket([perSecond, burst]: readonly [number, number], now: () => number): () => boolean {
  let [left, at] = [Number(burst), now()];
  return () => {
    const since = Math.max(0, now() - at);
    [left, at] = [Math.min(burst, left + (since * perSecond) / 1000), now()];
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}
