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
  content_block: object.optional().catch(undefined),
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

type Said = z.infer<typeof event>;
const textOr = (part: Record<string, unknown> | undefined) =>
  /^text(_delta)?$/.test(`${part?.type}`) && typeof part?.text !== 'string' ? { ...part, text: '' } : part;

/**
 * Mends the events of blocks: the SDK counts them from 0 without a gap and drops what stands anywhere else; a text of nothing would become the
 * word "null"; the input of a tool call is held back until it is whole.
 */
function createBlocks() {
  const places = new Map<number, number>();
  const inputs = new Map<number, string>();
  let begun = 0;
  function begin(given: number): number {
    places.set(given, begun);
    begun += 1;
    return begun - 1;
  }
  return {
    mend(said: Said): Said[] {
      const { type, index: given = -1, delta, content_block } = said;
      if (type === 'content_block_start')
        return [{ ...said, index: begin(given), content_block: textOr(content_block) }];
      const known = places.get(given);
      const isNew = known === undefined && delta?.type === 'text_delta';
      const index = isNew ? begin(given) : (known ?? given);
      const begins = { type: 'content_block_start', index, content_block: { type: 'text', text: '' } };
      const one = { ...said, index };
      if (delta?.type === 'input_json_delta') {
        inputs.set(index, `${inputs.get(index) ?? ''}${delta.partial_json ?? ''}`);
        return [];
      }
      const input = type === 'content_block_stop' ? inputs.get(index) : undefined;
      if (!input) return [...(isNew ? [begins] : []), delta ? { ...one, delta: textOr(delta) } : one];
      inputs.delete(index);
      const partial_json = JSON.stringify(objectIn(input) ?? { [NOT_JSON]: input });
      return [{ type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json } }, one];
    },
  };
}

const START = { id: 'none', type: 'message', role: 'assistant', model: 'unnamed', stop_reason: null };

/** Mends one line of a stream after another. */
function createMender() {
  const blocks = createBlocks();
  let name: string | undefined;
  // Once, and before all else: the SDK reads no other order, and such a server would never have another.
  let isBegun = false;
  const linesOf = ({ type, ...data }: Said) => [
    ...(type ? [`event: ${type}`] : []),
    `data: ${JSON.stringify({ ...(type && { type }), ...data })}`,
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
    const { type = given ?? ('error' in said ? 'error' : undefined), ...rest } = event.parse(said);
    const data = { type, ...rest };
    const { message = {}, usage = {}, delta = {} } = data;
    if (!/^(message|content_block)_/.test(type ?? '')) return linesOf(data);
    const begins = { type: 'message_start', message: { ...START, usage: {}, content: [] } };
    const events: Said[] = isBegun || type === 'message_start' ? [] : [begins];
    if (type === 'message_start' && !isBegun)
      events.push({
        ...data,
        message: { ...START, ...message, usage: message.usage ?? {}, content: message.content ?? [] },
      });
    else if (type === 'message_delta') events.push({ ...data, usage, delta });
    else if (type === 'message_stop') events.push(data);
    else if (type !== 'message_start') events.push(...blocks.mend(data));
    isBegun = true;
    return events.flatMap((one, at) => [...(at > 0 ? [''] : []), ...linesOf(one)]);
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

/** What the API calls it, for stop reasons of other APIs that a proxy left as they were. */
const STOP_REASONS: [RegExp, string][] = [
  [/^(max_?|model_?)?(output_)?(tokens|length)$/i, 'max_tokens'],
  [/^(content_filter(ed)?|safety|blocked|prohibited_content|recitation|sensitive|guardrail_intervened)$/i, 'refusal'],
  [/^context_(length|window)_exceeded$/i, 'model_context_window_exceeded'],
];
export const asStopReason = (given: string | null | undefined): string =>
  STOP_REASONS.find(([pattern]) => pattern.test(given ?? ''))?.[1] ?? (given || 'end_turn');
