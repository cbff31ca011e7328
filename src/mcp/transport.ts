// What an MCP server says, as the client of the protocol hears it: one JSON message a line over its input and output. A server may be hostile:
// lines, messages and what is no message are counted, and past a bound the server is ended.
import { setImmediate } from 'node:timers/promises';
import type { Transport } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { atMost, type Clock } from '../core/clock.js';
import { describeError, PinchError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';
import type { Parser } from './parse.js';
import type { ServerProcess } from './process.js';

const MAX_LINE_BYTES = 10 * 1024 * 1024;
/** Of what we say, while it does not read. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
const LAST_MS = 1_000;
/** Of what it wrote last for people: from there on, and so many. */
const [TAIL_CHARS, SHOWN_CHARS] = [2_000, 500];
/** Lines that are no messages. */
const MAX_BAD = 200;
/** Messages a second, and how many may come at once; so many bytes count like one. */
const [RATE, BURST, BYTES] = [200, 2_000, 16 * 1024];
/** Read in one go; other work gets its turn in between. */
const [TURN_LINES, TURN_BYTES] = [50, 64 * 1024];
/** What a server may say unasked and anybody here listens to. */
const HEARD = /^notifications\/(progress|tools\/list_changed)$/;

const message = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string().max(200), z.number()]).optional(),
  method: z.string().optional(),
});
type Message = Parameters<NonNullable<Transport['onmessage']>>[0];
const isMessage = (value: unknown): value is Message => message.safeParse(value).success;

export interface ServerTransport extends Transport {
  /** Why it is closed, with what the server wrote last for people; undefined while it is open. */
  whyClosed(): string | undefined;
  /** Closes it and ends the server; the first reason stays. Resolves when nothing of it runs any more. */
  end(why: string): Promise<void>;
}

export interface TransportDeps {
  process: ServerProcess;
  clock: Clock;
  parser: Pick<Parser, 'parse'>;
}

export function createTransport({ process, clock, parser }: TransportDeps): ServerTransport {
  let why: string | undefined;
  let drained: (() => void) | undefined;
  let ending: Promise<void> | undefined;

  function finish(reason: string): Promise<void> {
    if (ending) return ending;
    const tail = oneLine(process.stderrTail().slice(-TAIL_CHARS), SHOWN_CHARS);
    why = tail ? `${reason}; it wrote last: ${tail}` : reason;
    drained?.();
    ending = process.stop();
    transport.onclose?.();
    return ending;
  }
  const transport: ServerTransport = {
    whyClosed: () => why,
    end: finish,
    async start() {
      process.stdin.on('drain', () => drained?.());
      const read = readMessages({ process, clock, parser }, (one) => why === undefined && transport.onmessage?.(one));
      void read.then(
        // Its end has the better reason, and comes at about the same time.
        async () => finish((await atMost(clock, LAST_MS, process.closed)) ?? 'it closed its output'),
        (error: unknown) => finish(describeError(error)),
      );
      // What it wrote last may come after its end.
      void process.closed.then(async (reason) => {
        await atMost(clock, LAST_MS, read);
        await finish(reason);
      });
    },
    async send(one) {
      if (why !== undefined) throw new Error(why);
      if (process.stdin.writableLength > MAX_UNREAD_BYTES) {
        // It asks for ever without hearing the answers.
        if (!('method' in one)) void finish('it does not read what it is told');
        throw new PinchError('too_many', 'it has not read yet what it was told before; try again in a moment');
      }
      if (process.stdin.write(`${JSON.stringify(one)}\n`)) return;
      await new Promise<void>((resolve) => {
        drained = resolve;
      });
    },
    async close() {
      // The client does so when it got no answer to its first words.
      await finish('it gave no proper answer to the first words');
    },
  };
  return transport;
}

/** Ends with the output. Throws what is wrong with it. */
async function readMessages({ process, clock, parser }: TransportDeps, onMessage: (one: Message) => unknown) {
  const split = createSplitter(MAX_LINE_BYTES);
  const spend = createAllowance(clock);
  let [bad, lines, bytes] = [0, 0, 0];
  for await (const chunk of process.stdout) {
    // A line that comes in ten million pieces.
    spend(0.1);
    for (const line of split(Buffer.from(chunk))) {
      spend(1 + line.length / BYTES);
      [lines, bytes] = [lines + 1, bytes + line.length];
      if (lines > TURN_LINES || bytes > TURN_BYTES) {
        [lines, bytes] = [0, 0];
        await setImmediate();
      }
      const said = line.length > 0 ? await parser.parse(line).catch(() => undefined) : null;
      if (isMessage(said)) {
        if ('id' in said || ('method' in said && HEARD.test(said.method))) onMessage(said);
      } else if (said !== null) bad += 1;
      if (bad > MAX_BAD) throw new Error(`it writes what are no messages of the protocol: ${shown(line)}`);
    }
  }
}

const shown = (line: Buffer): string => oneLine(line.subarray(0, 200).toString(), 100);

/** The whole lines that a piece of output completes, without their ends. Throws when one is too long. */
export function createSplitter(maxBytes: number) {
  let pieces: Buffer[] = [];
  let bytes = 0;
  return function* (chunk: Buffer): Generator<Buffer> {
    for (let from = 0; ; ) {
      const at = chunk.indexOf(0x0a, from);
      const piece = chunk.subarray(from, at < 0 ? chunk.length : at);
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > maxBytes) throw new Error(`it wrote a line of more than ${maxBytes / 1024 / 1024} MB`);
      if (at < 0) return;
      yield pieces.length === 1 ? piece : Buffer.concat(pieces, bytes);
      [pieces, bytes] = [[], 0];
      from = at + 1;
    }
  };
}

/** Throws when more is spent than comes back. */
export function createAllowance(clock: Clock): (amount: number) => void {
  let [left, at] = [BURST, clock.now()];
  return (amount) => {
    const now = clock.now();
    // A clock that is set back gives nothing, and takes nothing.
    left = Math.min(BURST, left + (Math.max(0, now - at) * RATE) / 1_000) - amount;
    at = now;
    if (left < 0) throw new Error(`it says more than ${RATE} things a second`);
  };
}
