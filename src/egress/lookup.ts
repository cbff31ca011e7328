// Names are looked up one after the other. The system's look-up holds a thread of the process for as long as a name server is silent, and there
// are two such threads: containers may take one of them, the other is left for the model and the channels.

/** All addresses of a host; rejects when it has none. */
export type Lookup = (host: string) => Promise<string[]>;

/** Names that wait at a time, of all containers. */
const MAX_WAITING = 64;

/** Who asks for a name that is being looked up gets the same answer. Rejects when too many wait, or as `lookup` does. */
export function createLookupQueue(lookup: Lookup): Lookup {
  const waiting = new Map<string, Promise<string[]>>();
  let last: Promise<unknown> = Promise.resolve();
  return (host) => {
    const known = waiting.get(host);
    if (known) return known;
    if (waiting.size >= MAX_WAITING) return Promise.reject(new Error('too many names wait to be looked up'));
    const next = last.then(() => lookup(host)).finally(() => waiting.delete(host));
    waiting.set(host, next);
    last = next.catch(() => undefined);
    return next;
  };
}
