// What back ends answer besides answers: a table of kinds, each with what it serves in one turn and what the people of the chat then read.
// Knows nothing about Pinch but its words for people.
import type { ServerResponse } from 'node:http';
import type { RecordedRequest, ScriptBlock, Step } from '../fakes/anthropic.js';
import type { SseEvent } from '../fakes/anthropic-events.js';

/** One message of a person and what comes of it. */
export interface Turn {
  /** Names the turn in the question and in the answer. */
  token: string;
  /** What a step saw that must not be. */
  wrong: string[];
  /** Ends the container that works on the turn. */
  killContainer(): Promise<void>;
}

export interface Kind {
  name: string;
  /** What the back end answers first; after these it gives the turn's answer. */
  steps(turn: Turn): Step[];
  /** What the chat gets, in this order; the turn's answer alone unless told. */
  says?: (token: string) => (string | RegExp)[];
  /** What the owner is told, each at most once. */
  owner?: RegExp[];
  /** The message has a picture. */
  picture?: boolean;
  /** Tasks that it leaves. */
  tasks?: number;
  /** Model calls that it takes, at most: what a back end does with every reply must not make each of them fail first. */
  calls?: number;
}

export const answerTo = (token: string) => `answer to ${token}`;

type Raw = (response: ServerResponse) => void;
const page = (status: number, body: string, type = 'text/html'): Step => ({
  raw: (response) => void response.writeHead(status, { 'content-type': type }).end(body),
});
const json = (status: number, body: unknown): Step => page(status, JSON.stringify(body), 'application/json');
const refuse = (message: string, fault = 400, type = 'invalid_request_error'): Step => ({ fault, type, message });
const cut: Raw = (response) => void response.destroy();
const use = (name: string, input: Record<string, unknown>, id?: string): ScriptBlock => ({
  ...{ type: 'tool_use' as const, name, input },
  ...(id !== undefined && { id }),
});
const text = (said: string): ScriptBlock => ({ type: 'text', text: said });
const thinking: ScriptBlock = { type: 'thinking', thinking: 'hm' };
const twice = (step: Step): Step[] => [step, step];
/** What a back end does with every reply. */
const habit = (name: string, edit: (events: SseEvent[]) => SseEvent[]): Kind => ({
  ...{ name, calls: 1 },
  steps: ({ token }) => Array.from({ length: 4 }, () => ({ text: answerTo(token), edit })),
});
const simple = (name: string, ...steps: Step[]): Kind => ({ name, steps: () => [...steps] });

const TOO_LONG = [
  refuse('input length and `max_tokens` exceed context limit: 187254 + 20000 > 204798'),
  refuse('Input is too long for requested model.'),
  refuse('Your request exceeded model token limit: 262144'),
  refuse('Prompt exceeds max length'),
  refuse('Range of input length should be [1, 98304]'),
  refuse('context_length_exceeded'),
  json(400, {
    error: { code: 400, message: 'request (50000 tokens) exceeds the available context size (40960 tokens)' },
  }),
  json(422, {
    error: 'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 40960',
    type: 'validation',
  }),
  json(413, { detail: 'Payload Too Large' }),
  page(400, 'the input length exceeds the context length', 'text/plain'),
];

const NO_MONEY = [
  refuse('Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade.'),
  refuse('You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC.'),
  json(402, { error: { message: 'Insufficient Balance', type: 'unknown_error', code: 'invalid_request_error' } }),
  json(402, { error: { message: 'This request requires more credits, or fewer max_tokens.', code: 402 } }),
];

const gaveUp = /^I could not finish this and gave up on it; my owner knows why/;
/** A group that waits for its owner: that one is told why, and the chat that it waits. */
const parked = (why: RegExp): Pick<Kind, 'owner' | 'says'> => ({
  owner: [why, /^The model answers again; group `\w+` goes on\.$/],
  says: (token) => [/^I cannot work on this yet: the model back end does not let me in/, answerTo(token)],
});

function withoutPicture({ token, wrong }: Turn): Step {
  return ({ body }: RecordedRequest) => {
    if (JSON.stringify(body?.messages).includes('"type":"image"')) wrong.push(`${token}: the picture was sent again`);
    return { text: answerTo(token) };
  };
}
const picture = (name: string, message: string): Kind => ({
  ...{ name, picture: true },
  steps: (turn) => [refuse(message), withoutPicture(turn)],
});

/** Events without what they say about tokens. */
const withoutUsage = (events: SseEvent[]): SseEvent[] =>
  events.map((event) => {
    const { usage: _, ...rest } = event;
    if (typeof rest.message !== 'object' || rest.message === null) return { ...rest };
    return { ...rest, message: Object.fromEntries(Object.entries(rest.message).filter(([key]) => key !== 'usage')) };
  });
/** A block of a kind that nobody knows before all others. */
const withStrangeBlock = (events: SseEvent[]): SseEvent[] => {
  const [start, ...rest] = events;
  const strange = { type: 'content_block_start', index: 0, content_block: { type: 'mystery', riddle: 'what is it?' } };
  const moved = rest.map((event) => (typeof event.index === 'number' ? { ...event, index: event.index + 1 } : event));
  return start ? [start, strange, { type: 'content_block_stop', index: 0 }, ...moved] : [];
};
/** Blocks counted from 1. */
const fromOne = (events: SseEvent[]): SseEvent[] =>
  events.map((event) => (typeof event.index === 'number' ? { ...event, index: event.index + 1 } : event));
/** Pieces of text that are none, between those that are. */
const withNulls = (events: SseEvent[]): SseEvent[] =>
  events.flatMap((event) =>
    event.type === 'content_block_delta' ? [{ ...event, delta: { type: 'text_delta', text: null } }, event] : [event],
  );
const withSameId = (events: SseEvent[]): SseEvent[] =>
  events.map((event) =>
    'message' in event ? { ...event, message: Object.assign({}, event.message, { id: 'msg_1' }) } : event,
  );

const notReached: Kind[] = [
  simple('a connection that is cut', { raw: cut }),
  simple('cut six times', ...Array.from({ length: 6 }, () => ({ raw: cut }))),
  simple('a broken stream', { text: 'half of', interrupt: { after: 3, by: 'cut' } }),
  simple('a stream without an end', { text: 'half of', interrupt: { after: 3, by: 'end' } }),
  simple('a page of a proxy, 502', page(502, '<html><head><title>502 Bad Gateway</title></head></html>')),
  simple('no content, 204', { raw: (response) => void response.writeHead(204).end() }),
  simple('a time-out of a proxy, 408', refuse('Request timed out', 408)),
  simple('overload', refuse('Overloaded', 529, 'overloaded_error')),
  simple('rate limit', { fault: 429, type: 'rate_limit_error', headers: { 'retry-after': '1' } }),
  simple('too many tokens a minute', {
    ...refuse('Too many tokens, please wait before trying again.', 429),
    headers: { 'retry-after': '1' },
  }),
  simple('an error event', { text: 'half of', interrupt: { after: 3, by: 'error', type: 'overloaded_error' } }),
  simple('an error event of the API', { text: 'half of', interrupt: { after: 4, by: 'error', type: 'api_error' } }),
  { name: 'a slow stream', steps: ({ token }) => [{ text: answerTo(token), delayMs: 150, pings: true }] },
];

const refused: Kind[] = [
  picture('an image refused', 'messages.0.content.1.image.source.base64: Could not process image'),
  picture('a document refused', 'The PDF specified was not valid.'),
  {
    name: 'an invalid signature',
    steps: () => [
      { content: [thinking, use('bash', { command: 'true' })] },
      refuse('messages.1.content.0: Invalid `signature` in `thinking` block'),
    ],
  },
  ...TOO_LONG.map((step, at) => simple(`too long, in words ${at}`, step)),
  {
    name: 'an event that says too long',
    steps: () => [
      { text: '', interrupt: { after: 1, by: 'error', type: 'invalid_request_error', message: 'prompt is too long' } },
    ],
  },
  {
    name: 'more output asked for than is allowed',
    calls: 2,
    steps: ({ token }) => {
      // The container may know it from an earlier turn.
      const step: Step = ({ body }) =>
        (body?.max_tokens ?? 0) > 8_192
          ? refuse(`max_tokens: ${body?.max_tokens} > 8192, which is the maximum allowed number of output tokens`)
          : { text: answerTo(token) };
      return [step, step, step, step];
    },
  },
  ...NO_MONEY.map((step, at) => ({
    ...simple(`no money, in words ${at}`, step),
    ...parked(/^The model back end asks for money/),
  })),
  {
    ...simple('a wrong key', refuse('invalid x-api-key', 401, 'authentication_error')),
    ...parked(/ANTHROPIC_API_KEY/),
  },
  {
    ...simple('a key without rights', refuse('Request not allowed', 403, 'permission_error')),
    ...parked(/ANTHROPIC_API_KEY/),
  },
  {
    ...simple('moderation', ...twice(refuse('Your input was flagged for "violence"', 403, 'permission_error'))),
    ...{ says: () => [gaveUp], owner: [/gave up on run \d+ .*refused the request.*flagged/s] },
  },
  {
    ...simple('a request that is refused', ...twice(refuse('messages: nobody knows what is wrong'))),
    ...{ says: () => [gaveUp], owner: [/gave up on run \d+ .*refused the request.*nobody knows/s] },
  },
];

const replies: Kind[] = [
  simple('an answer'),
  simple('thinking alone', { content: [thinking] }),
  simple('nothing', { content: [] }),
  {
    ...simple('thinking alone, twice', ...twice({ content: [thinking] })),
    says: () => [/^The model gave no answer, twice/],
  },
  { ...simple('nothing, twice', ...twice({ content: [] })), says: () => [/^The model gave no answer, twice/] },
  {
    name: 'cut at its length limit',
    steps: ({ token }) => [{ text: 'answer to', stopReason: 'max_tokens' }, { text: ` ${token}` }],
    says: (token) => [new RegExp(`^answer to ?${token}$`)],
  },
  simple('thinking up to the length limit', { content: [thinking], stopReason: 'max_tokens' }),
  { ...simple('declined', { text: '', stopReason: 'refusal' }), says: () => [/^The model declined to answer this/] },
  {
    ...simple('a pause', { text: 'one moment. ', stopReason: 'pause_turn' }),
    says: (token) => [`one moment. ${answerTo(token)}`],
  },
  { name: 'a stop for no known reason', steps: ({ token }) => [{ text: answerTo(token), stopReason: 'eos' }] },
  habit('a block of no known kind', withStrangeBlock),
  simple('a block of no known kind alone', { content: [], edit: withStrangeBlock }),
  habit('the same message id', withSameId),
  habit('blocks counted from one', fromOne),
  habit('texts of null', withNulls),
  habit('a reply that begins twice', (events) => [...events.slice(0, 1), ...events]),
  habit('no usage', withoutUsage),
];

const calls: Kind[] = [
  {
    name: 'the same id for every call',
    steps: ({ token }) => [
      {
        content: [
          use('send_message', { text: `one ${token}` }, 'call_0'),
          use('send_message', { text: `two ${token}` }, 'call_0'),
        ],
      },
      { content: [use('send_message', { text: `three ${token}` }, 'call_0')] },
    ],
    says: (token) => [`one ${token}`, `two ${token}`, `three ${token}`, answerTo(token)],
  },
  {
    name: 'the same id for two tasks',
    steps: ({ token }) => {
      const task = (n: number) => use('task_schedule', { prompt: `${token} ${n}`, every: '30d' }, 'call_0');
      return [{ content: [task(1), task(2)] }];
    },
    tasks: 2,
  },
  simple('broken JSON', { content: [{ type: 'tool_use', name: 'bash', rawInput: '{"command": }' }] }),
  {
    name: 'broken JSON, again and again',
    steps: () => {
      const broken = { type: 'tool_use' as const, name: 'bash', rawInput: '{"command": }' };
      return Array.from({ length: 4 }, () => ({ content: [broken] }));
    },
    says: () => [/^I stopped because I repeated the same step/],
  },
  simple('JSON that is no object', { content: [{ type: 'tool_use', name: 'bash', rawInput: '"ls"' }] }),
  simple('a tool that is not there', { content: [use('open_the_door', { now: true })] }),
  simple('text around a call', { content: [text('Let me see.'), use('bash', { command: 'true' }), text('Done.')] }),
  simple('a call with the stop reason of an answer', {
    content: [use('bash', { command: 'true' })],
    stopReason: 'end_turn',
  }),
  {
    name: 'a container that dies',
    steps: ({ token, killContainer }) => [
      { content: [use('bash', { command: `echo ${token} >> /workspace/effects` })] },
      async () => {
        await killContainer();
        return { text: 'nobody reads this' };
      },
    ],
  },
];

export const KINDS: Kind[] = [...notReached, ...refused, ...replies, ...calls];
