// The stream of a reply as the SDK can read it. Back ends that only look like the Messages API leave out event names and token counts, and
// write tool calls that are no JSON; each of these would end the call with an error, every time. Pure.
import * as z from 'zod';

/** The name under which a tool call has its input when that was no JSON object; the tool is then not run. */
export const NOT_JSON = 'this_was_not_a_json_object';

const object = z.record(z.string(), z.unknown());
const event = z.looseObject({
  type: z.string().optional().catch(undefined),
  index: z.number().optional().catch(undefined),
  message: object.optional().catch(undefined),
  delta: object.optional().catch(undefined),
  usage: object.optional().catch(undefined),
});

/** The JSON object in `text`, else undefined. */
function objectIn(text: string): z.infer<typeof object> | undefined {
  try {
    return object.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The input as an object: whatever else it is stands under a name of its own. */
export const asInput = (input: unknown): Record<string, unknown> =>
  object.safeParse(input).data ?? { [NOT_JSON]: input };

/** Mends one line of a stream after another; the input of a tool call is held back until it is whole. */
function createMender() {
  const inputs = new Map<number, string>();
  let name: string | undefined;
  const linesOf = (type: string | undefined, data: object) => [
    ...(type ? [`event: ${type}`] : []),
    `data: ${JSON.stringify(data)}`,
  ];
  return (line: string): string[] => {
    if (line.startsWith('event:')) {
      name = line.slice(6).trim();
      return [];
    }
    if (!line.startsWith('data:')) return [line];
    const said = objectIn(line.slice(5));
    const given = name;
    name = undefined;
    if (!said) return [...(given ? [`event: ${given}`] : []), line];
    const data = event.parse(said);
    const { index = -1, message, delta } = data;
    const type = data.type ?? given ?? ('error' in said ? 'error' : undefined);
    const usage = data.usage ?? {};
    if (type === 'message_start' && message) {
      const whole = { ...message, usage: message.usage ?? {}, content: message.content ?? [] };
      return linesOf(type, { ...data, message: whole });
    }
    if (type === 'message_delta') return linesOf(type, { ...data, usage, delta: delta ?? {} });
    if (delta?.type === 'input_json_delta') {
      inputs.set(index, `${inputs.get(index) ?? ''}${delta.partial_json ?? ''}`);
      return [];
    }
    const input = inputs.get(index);
    if (type !== 'content_block_stop' || !input) return linesOf(type, said);
    inputs.delete(index);
    const partial_json = JSON.stringify(objectIn(input) ?? { [NOT_JSON]: input });
    const whole = { type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json } };
    return [...linesOf(whole.type, whole), '', ...linesOf(type, said)];
  };
}

/** The bytes of an event stream, mended. */
export function mendStream(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const mend = createMender();
  let rest = '';
  const write = (lines: string[]) =>
    encoder.encode(
      lines
        .flatMap(mend)
        .map((line) => `${line}\n`)
        .join(''),
    );
  return new TransformStream({
    transform(chunk, controller) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      controller.enqueue(write(lines.map((line) => line.replace(/\r$/, ''))));
    },
    flush: (controller) => void (rest !== '' && controller.enqueue(write([rest]))),
  });
}

const wholeReply = z.looseObject({ content: z.array(z.unknown()), stop_reason: z.unknown(), usage: z.unknown() });

/** An answer that is no stream although one was asked for, as one: a whole reply, or an error that came with status 200. */
export function asStream(text: string): string {
  const said = objectIn(text);
  const { data: message } = wholeReply.safeParse(said);
  const lines = (events: { type: string }[]) =>
    events.map((one) => `event: ${one.type}\ndata: ${JSON.stringify(one)}\n\n`).join('');
  if (!message) return said ? lines([{ ...said, type: 'error' }]) : text;
  const { content, stop_reason, usage } = message;
  const blocks = content.flatMap((content_block, index) => [
    { type: 'content_block_start', index, content_block },
    { type: 'content_block_stop', index },
  ]);
  return lines([
    { type: 'message_start', ...{ message: { ...message, content: [] } } },
    ...blocks,
    { type: 'message_delta', ...{ delta: { stop_reason }, usage } },
    { type: 'message_stop' },
  ]);
}

/** Seconds that the back end asks to wait, which it may give as a date; undefined when it says nothing that can be read. */
export function waitOf(headers: Headers, now: number): number | undefined {
  const after = headers.get('retry-after') ?? '';
  const ms = headers.get('retry-after-ms');
  const seconds = ms ? Number(ms) / 1_000 : Number(after || Number.NaN);
  const waitS = Number.isNaN(seconds) ? (Date.parse(after) - now) / 1_000 : seconds;
  return Number.isNaN(waitS) ? undefined : Math.max(0, Math.ceil(waitS));
}

/** What the API calls it, for stop reasons of other APIs that a proxy left as they were. */
const STOP_REASONS: [RegExp, string][] = [
  [/^(max_?)?(output_)?(tokens|length)$/i, 'max_tokens'],
  [/^(content_filter(ed)?|safety|blocked)$/i, 'refusal'],
];
export const asStopReason = (given: string | null | undefined): string =>
  STOP_REASONS.find(([pattern]) => pattern.test(given ?? ''))?.[1] ?? (given || 'end_turn');
