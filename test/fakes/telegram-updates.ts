// The bot's update queue and its long polls: what `getUpdates` serves, what an offset confirms, who is cut off with 409.
// Knows nothing about HTTP or about what is in an update.
import { ApiError } from './telegram-params.js';
import type { FakeUpdate } from './telegram-world.js';

export type UpdateBody = Omit<FakeUpdate, 'update_id'>;

export interface PollRequest {
  /** 0: from the earliest unconfirmed; positive: confirms everything below; negative: keep only the last ones. */
  offset: number;
  /** 1..100 */
  limit: number;
  /** Seconds, 0..50. */
  timeout: number;
  /** Undefined keeps the previous setting; an empty list means the default kinds. */
  allowed: string[] | undefined;
  /** Aborts when the client is gone. */
  signal: AbortSignal;
}

export interface UpdateQueue {
  /** Adds an update unless its kind is not allowed; then returns undefined. */
  push(body: UpdateBody): FakeUpdate | undefined;
  /** Throws `ApiError` 409 when a later poll takes over. Resolves with [] when the timeout is over or the client has gone. */
  poll(request: PollRequest): Promise<FakeUpdate[]>;
  /** Not confirmed yet, served or not. */
  pending(): FakeUpdate[];
  /** The highest update id confirmed by an offset, plus one; 0 before the first. */
  confirmedOffset(): number;
  /** Polls held open now: 0 or 1. */
  held(): number;
  forgetAll(): void;
  /** Ends the held poll, e.g. because a webhook was set. */
  interrupt(error: ApiError): void;
  allowed(): string[];
}

const CONFLICT = 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running';
/** How far beyond the next id an offset may be; further ones are ignored. */
const FUTURE_SLACK = 10;
/** Served only when asked for by name. */
const OPT_IN_KINDS = ['chat_member', 'message_reaction', 'message_reaction_count'];

interface HeldPoll {
  request: PollRequest;
  settle(result: FakeUpdate[] | ApiError): void;
}

/** `onChange` is called after every change a test may wait for. */
export function createUpdateQueue(firstId: number, onChange: () => void): UpdateQueue {
  let nextId = firstId;
  let queue: FakeUpdate[] = [];
  let allowed: string[] = [];
  let confirmed = 0;
  let held: HeldPoll | undefined;

  const isAllowed = (body: UpdateBody) => {
    const kind = Object.keys(body)[0] ?? '';
    return allowed.length === 0 ? !OPT_IN_KINDS.includes(kind) : allowed.includes(kind);
  };
  const confirm = (offset: number) => {
    if (offset === 0) return;
    const first = offset < 0 ? queue.at(Math.max(offset, -queue.length))?.update_id : offset;
    // An offset from the future confirms nothing: the server then serves from the start of the queue.
    if (first === undefined || first > nextId + FUTURE_SLACK) return;
    queue = queue.filter((update) => update.update_id >= first);
    confirmed = Math.max(confirmed, first);
  };
  const interrupt = (error: ApiError) => held?.settle(error);
  const hold = (request: PollRequest) =>
    new Promise<FakeUpdate[]>((resolve, reject) => {
      const gone = () => poll.settle([]);
      const timer = setTimeout(gone, request.timeout * 1000);
      const poll: HeldPoll = {
        request,
        settle(result) {
          clearTimeout(timer);
          request.signal.removeEventListener('abort', gone);
          if (held === poll) held = undefined;
          if (result instanceof ApiError) reject(result);
          else resolve(result);
          onChange();
        },
      };
      request.signal.addEventListener('abort', gone, { once: true });
      held = poll;
      onChange();
    });

  return {
    push(body) {
      if (!isAllowed(body)) return undefined;
      const update: FakeUpdate = { update_id: nextId++, ...body };
      queue.push(update);
      // Updates that come in one breath leave in one answer, as on the real server.
      queueMicrotask(() => held?.settle(queue.slice(0, held.request.limit)));
      onChange();
      return update;
    },
    async poll(request) {
      interrupt(new ApiError(409, CONFLICT));
      if (request.allowed) allowed = request.allowed;
      confirm(request.offset);
      onChange();
      if (queue.length > 0 || request.timeout <= 0 || request.signal.aborted) return queue.slice(0, request.limit);
      return hold(request);
    },
    pending: () => [...queue],
    confirmedOffset: () => confirmed,
    held: () => (held ? 1 : 0),
    forgetAll() {
      const last = queue.at(-1);
      if (last) confirm(last.update_id + 1);
    },
    interrupt,
    allowed: () => [...allowed],
  };
}
