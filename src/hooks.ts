// Requests from outside that start a task: who may, how often, and once per delivery. Knows no HTTP server.
import { createHash, createHmac, randomUUID } from 'node:crypto';
import type { Clock } from './clock.js';
import { sameSecret } from './same-secret.js';
import type { Store } from './store/index.js';
import type { Tasks } from './tasks.js';

export interface HooksDeps {
  store: Store;
  clock: Clock;
  tasks: Tasks;
}

export interface HookCall {
  id: number;
  header(name: string): string | undefined;
  body: Buffer;
}

export type HookAnswer = { status: 202 | 200 | 401 | 429; message: string };

export const MAX_HOOK_BYTES = 256 * 1024;
const PER_MINUTE = 30;
/** What of a body the model is shown; the rest would only cost. */
const MAX_SHOWN_CHARS = 60_000;
/** Senders that repeat a delivery name it in one of these. */
const DELIVERY_HEADERS = ['idempotency-key', 'x-github-delivery', 'webhook-id', 'x-delivery-id'];

export function createHooks({ store, clock, tasks }: HooksDeps) {
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
      const isKnown = isAuthentic(call, secret ?? randomUUID());
      if (!isKnown || !task || secret === null)
        return { status: 401, message: 'there is no such hook, or the secret is wrong' };
      if (isTooMany(task.id)) return { status: 429, message: `more than ${PER_MINUTE} calls in a minute` };
      const delivery = DELIVERY_HEADERS.map(call.header).find(Boolean) ?? randomUUID();
      const key = `hook:${task.id}:${createHash('sha256').update(delivery).digest('base64url')}`;
      if (store.tasks.wasStarted(key)) return { status: 200, message: 'this delivery was taken before' };
      const text = call.body.toString('utf8').slice(0, MAX_SHOWN_CHARS);
      tasks.start(task, { key, untrusted: { source: `hook: ${task.title}`, text } });
      return { status: 202, message: 'taken' };
    },
  };
}

export type Hooks = ReturnType<typeof createHooks>;

/** `Authorization: Bearer <secret>`, or the HMAC-SHA256 of the body under it as GitHub and many others sign. */
function isAuthentic({ header, body }: HookCall, secret: string): boolean {
  const signature = header('x-hub-signature-256') ?? header('x-signature-256');
  if (signature === undefined) return sameSecret(header('authorization'), `Bearer ${secret}`);
  const wanted = createHmac('sha256', secret).update(body).digest('hex');
  return sameSecret(signature.replace(/^sha256=/, '').toLowerCase(), wanted);
}
