// Requests from outside that start a task: who may, how often, and once per delivery. Knows no HTTP server.
import { createHash, createHmac, randomUUID } from 'node:crypto';
import type { Clock } from '../core/clock.js';
import { sameSecret } from '../core/secrets.js';
import type { TakeIn } from '../core/set-aside.js';
import type { Store } from './store.js';
import type { Tasks } from './tasks.js';

export interface HooksDeps {
  store: Store;
  clock: Clock;
  tasks: Tasks;
  takeIn: TakeIn;
}

export interface HookCall {
  id: number;
  header(name: string): string | undefined;
  body: Buffer;
}

export type HookAnswer = { status: 202 | 200 | 401 | 429; message: string };

export const MAX_HOOK_BYTES = 256 * 1024;
const PER_MINUTE = 30;
/** Of a signature with a time, either way: clocks differ. */
const MAX_AGE_MS = 5 * 60_000;
/** What of a body the model is shown; the rest would only cost. */
const MAX_SHOWN_CHARS = 60_000;
/** Senders that repeat a delivery name it in one of these. */
const DELIVERY_HEADERS = ['idempotency-key', 'x-github-delivery', 'webhook-id', 'x-delivery-id'];

export function createHooks({ store, clock, tasks, takeIn }: HooksDeps) {
  const calls = new Map<number, number[]>();

  function isTooMany(id: number): boolean {
    const since = clock.now() - 60_000;
    const recent = (calls.get(id) ?? []).filter((at) => at > since);
    calls.set(id, recent);
    if (recent.length >= PER_MINUTE) return true;
    recent.push(clock.now());
    return false;
  }

  return {
    /** The run is enqueued when this returns 202. */
    receive(call: HookCall): HookAnswer {
      const task = store.tasks.get(call.id);
      const secret = task?.starts.kind === 'hook' && task.state === 'active' ? task.secret : null;
      // The same work and the same answer for a hook that does not exist.
      const proof = proofOf(call, secret ?? randomUUID(), clock.now());
      const isEnough = proof?.once !== undefined || task?.starts.kind !== 'hook' || !task.starts.signed;
      if (!proof || !isEnough || !task || secret === null)
        return { status: 401, message: 'there is no such hook, or the secret is wrong' };
      if (isTooMany(task.id)) return { status: 429, message: `more than ${PER_MINUTE} calls in a minute` };
      // Names in other headers are not under the signature: whoever sends a call again could choose new ones.
      const delivery = proof.once ?? DELIVERY_HEADERS.map(call.header).find(Boolean) ?? randomUUID();
      const key = `hook:${task.id}:${createHash('sha256').update(delivery).digest('base64url')}`;
      if (store.tasks.wasStarted(key)) return { status: 200, message: 'this delivery was taken before' };
      const text = call.body.toString('utf8').slice(0, MAX_SHOWN_CHARS);
      // By what it says: whoever repeats it may name the delivery anew each time.
      const name = `hook ${task.id} ${createHash('sha256').update(call.body).digest('base64url')}`;
      const taken = takeIn({ name, raw: text }, () => {
        tasks.start(task, { key, untrusted: { source: `hook: ${task.title}`, text } });
        return true;
      });
      return taken ? { status: 202, message: 'taken' } : { status: 200, message: 'set aside: it cannot be taken in' };
    },
  };
}

export type Hooks = ReturnType<typeof createHooks>;

/** How a call proves that it knows the secret. `once` names a call that counts once. */
type Proof = { once?: string };

/**
 * A signature over the time and the body (`X-Pinch-Signature`), the only one that nobody can send again; the HMAC-SHA256 of the body
 * alone, as GitHub and many others sign; or `Authorization: Bearer <secret>`. A call that brings a signature stands or falls by it.
 */
function proofOf({ header, body }: HookCall, secret: string, now: number): Proof | undefined {
  const isSigned = (signature: string, wanted: string) =>
    sameSecret(signature.replace(/^sha256=/, '').toLowerCase(), wanted);
  const hmac = (prefix: string) => createHmac('sha256', secret).update(prefix).update(body).digest('hex');
  const [timed, at] = [header('x-pinch-signature'), header('x-pinch-timestamp')];
  if (timed !== undefined || at !== undefined) {
    const wanted = hmac(`${at}.`);
    return isSigned(timed ?? '', wanted) && isRecent(at ?? '', now) ? { once: wanted } : undefined;
  }
  const signature = header('x-hub-signature-256') ?? header('x-signature-256');
  const isAuthentic =
    signature === undefined ? sameSecret(header('authorization'), `Bearer ${secret}`) : isSigned(signature, hmac(''));
  return isAuthentic ? {} : undefined;
}

/** Unix time in seconds, or in milliseconds as JavaScript counts it. */
function isRecent(at: string, now: number): boolean {
  const time = /^\d{10}$/.test(at) ? Number(at) * 1000 : /^\d{13}$/.test(at) ? Number(at) : Number.NaN;
  return Math.abs(now - time) <= MAX_AGE_MS;
}
