// Names are looked up one after the other. The system's look-up holds a thread of the process for as long as a name server is silent, and there
// are two such threads: containers may take one of them, the other is left for the model and the channels.
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';

/** All addresses of a host, at least one. Rejects when there are none; the message is a few words of ASCII. */
export type Lookup = (host: string) => Promise<string[]>;

/** As this machine resolves it, without a queue. */
export const lookupAll: Lookup = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

const MOST_MS = 3_000;
/** Names that wait at a time, of all containers. */
const MAX_WAITING = 64;

/** Who asks for a name that is being looked up gets the same answer. Waits 3 s at most. Rejects also when too many wait. */
export function createLookupQueue(lookUp: Lookup): Lookup {
  const waiting = new Map<string, Promise<string[]>>();
  let last: Promise<unknown> = Promise.resolve();
  function enqueue(host: string): Promise<string[]> {
    const next = last.then(() => lookUp(host)).finally(() => waiting.delete(host));
    waiting.set(host, next);
    last = next.catch(() => undefined);
    return next;
  }
  return async (host) => {
    const known = waiting.get(host);
    if (!known && waiting.size >= MAX_WAITING) throw new Error('too many names wait to be looked up');
    const late = once(AbortSignal.timeout(MOST_MS), 'abort').then(() => []);
    const addresses = await Promise.race([known ?? enqueue(host), late]);
    if (addresses.length === 0) throw new Error('its name could not be looked up in time');
    return addresses;
  };
}
