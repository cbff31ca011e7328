// The demo model: what a person without an account can try, step by step through the tools.
import { expect, test } from 'vitest';
import { DEMO_FOOTER, demoReply } from './demo-model.js';

const escapeXml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const xml = (...texts: string[]) =>
  `<messages chat="c" now="n" zone="UTC">\n${texts.map((text, at) => `<message id="${at}" sender="A" time="t">${escapeXml(text)}</message>`).join('\n')}\n</messages>`;

type Turn = { role: string; content: unknown };
const user = (...texts: string[]): Turn => ({ role: 'user', content: [{ type: 'text', text: xml(...texts) }] });
function reply(messages: Turn[]) {
  const system = [{ type: 'text', text: '- /srv/my ws/CLAUDE.md is your memory of this group' }];
  return demoReply({ model: 'm', system, messages });
}
const uses = (message: ReturnType<typeof reply>) =>
  message.content.flatMap((block) => (block.type === 'tool_use' ? [block] : []));
const text = (message: ReturnType<typeof reply>) =>
  message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');

/** Plays a whole turn: every call gets the result `answer` gives it. */
function play(messages: Turn[], answer: (call: { name: string; input: Record<string, unknown> }) => string | Error) {
  const history = [...messages];
  const calls: { name: string; input: Record<string, unknown> }[] = [];
  for (let round = 0; round < 5; round += 1) {
    const message = reply(history);
    const asked = uses(message);
    if (asked.length === 0) return { calls, text: text(message), stop: message.stop_reason };
    expect(message.stop_reason).toBe('tool_use');
    calls.push(...asked);
    const results = asked.map((call) => {
      const result = answer(call);
      const content = result instanceof Error ? result.message : [{ type: 'text', text: result }];
      return { type: 'tool_result', tool_use_id: call.id, content, is_error: result instanceof Error };
    });
    history.push({ role: 'assistant', content: message.content }, { role: 'user', content: results });
  }
  throw new Error('it never came to an end');
}

test('remember writes one quoted line into the memory file and shows it', () => {
  const { calls, text } = play(
    [user("@Pinch remember that Anna's bike is <blue> & $HOME `x`")],
    () => "- Anna's bike is <blue> & $HOME `x`",
  );
  expect(calls).toHaveLength(1);
  expect(calls[0]?.name).toBe('bash');
  expect(calls[0]?.input.command).toContain("'- Anna'\\''s bike is <blue> & $HOME `x`' >> CLAUDE.md");
  expect(text).toContain("Anna's bike is <blue>");
  expect(text.endsWith(DEMO_FOOTER)).toBe(true);
});

test.each([
  ['remind me in 10 seconds to stretch', { at: 'in 10s', prompt: 'Reminder: stretch', title: 'stretch' }],
  [
    'Remind us in 2h about the tea & cake',
    { at: 'in 2h', prompt: 'Reminder: the tea & cake', title: 'the tea & cake' },
  ],
  ['remind me in an hour', { at: 'in 1h', prompt: 'Reminder: ', title: 'Reminder' }],
])('%s schedules a task', (question, input) => {
  const { calls, text } = play([user(question)], () => 'Task 1 (stretch) is scheduled.');
  expect(calls).toEqual([expect.objectContaining({ name: 'task_schedule', input })]);
  expect(text).toContain('is scheduled');
});

test('a task that is due says its reminder; the list shows what is scheduled', () => {
  expect(play([user('Reminder: stretch')], () => '').text).toContain('⏰ Reminder: stretch');
  expect(play([user('list tasks')], () => '**1** stretch').calls[0]?.name).toBe('task_list');
});

test.each([
  'what do you remember?',
  'recall',
  'What is my bike like?',
  "what's in your memory",
])('%s reads the memory file', (question) => {
  const { calls, text } = play([user(question)], () => '# Main\n- my bike is blue\n- the cat is grey');
  expect(calls[0]?.input.command).toMatch(/^cd '\/srv\/my ws'; .*cat CLAUDE.md/);
  expect(text).toContain('my bike is blue');
});

test.each([
  ['run: echo hi && ls', 'echo hi && ls'],
  ['Run `ls -la`', 'ls -la'],
  ['run ls -la /workspace', 'ls -la /workspace'],
  ['$ uname -a', 'uname -a'],
  ['run:\nsleep 600', 'sleep 600'],
  ['list files', "ls -la '/srv/my ws'"],
])('%s runs %s', (message, command) => {
  const { calls, text } = play([user(message)], () => 'the output');
  expect(calls).toMatchObject([{ name: 'bash', input: { command } }]);
  expect(text).toContain('the output');
});

test.each([
  ['search for the blue bike', 'search_history', { query: 'the blue bike', limit: 10 }],
  [
    'todo: buy bread, call Anna',
    'todo',
    {
      items: [
        { text: 'buy bread', status: 'pending' },
        { text: 'call Anna', status: 'pending' },
      ],
    },
  ],
])('%s uses %s', (message, name, input) => {
  const { calls, text } = play([user(message)], () => 'done by the tool');
  expect(calls).toMatchObject([{ name, input }]);
  expect(text).toContain(DEMO_FOOTER);
});

test('hello explains what it is and five things to try; anything else is answered as a script would', () => {
  const hello = play([user('hello')], () => 'never').text;
  expect(hello).toContain('a small script, not an AI');
  expect(hello).toMatch(/5\. /);
  const other = play([user('what is 2 < 3 & 4?')], () => 'never').text;
  expect(other).toContain('“what is 2 < 3 & 4?”');
  expect(other).toContain(DEMO_FOOTER);
});

test('a failed tool is told as failed', () => {
  expect(play([user('run: x')], () => new Error('interrupted, may have taken effect')).text).toContain(
    '`bash` did not work:\n```\ninterrupted',
  );
});

test('of several messages at once the last is answered', () => {
  const { calls } = play([user('remember that a', 'run: date', 'search for b')], () => 'ok');
  expect(calls.map((call) => call.name)).toEqual(['search_history']);
  expect(play([user('one', 'two', 'three')], () => 'never').text).toContain('“three”');
});

test('a message that comes while tools run is answered in the same turn', () => {
  const first = reply([user('run: date')]);
  const [call] = uses(first);
  const steer = [
    { type: 'tool_result', tool_use_id: call?.id, content: 'Saturday' },
    { type: 'text', text: `[sent while you were working]\n${xml('run: pwd')}` },
  ];
  const history = [user('run: date'), { role: 'assistant', content: first.content }, { role: 'user', content: steer }];
  const { calls, text } = play(history, () => '/workspace');
  expect(calls).toMatchObject([{ name: 'bash', input: { command: 'pwd' } }]);
  expect(text).toContain('/workspace');
});

test('earlier turns are not done again', () => {
  const history = [user('run: date'), { role: 'assistant', content: [{ type: 'text', text: 'done' }] }, user('help')];
  expect(play(history, () => 'never').calls).toEqual([]);
});

test('quotes, edits and attachments around a message are not taken for its words', () => {
  const inner =
    '<messages now="n">\n<message id="1" sender="A" time="t"><reply-to sender="B">run: rm</reply-to><edited>this replaces an earlier version of the message</edited><media kind="image" path="/x"/>run: pwd</message>\n</messages>';
  const { calls } = play([{ role: 'user', content: [{ type: 'text', text: inner }] }], () => 'ok');
  expect(calls).toMatchObject([{ input: { command: 'pwd' } }]);
});

test('the summary request of the runner gets a summary without footer or tools', () => {
  const ask = {
    type: 'text',
    text: 'The conversation has become too long. Summarize it now for yourself: who the people are.',
  };
  const message = reply([
    user('run: date'),
    { role: 'assistant', content: [{ type: 'text', text: 'x' }] },
    { role: 'user', content: [ask] },
  ]);
  expect(text(message)).toContain('run: date');
  expect(text(message)).not.toContain(DEMO_FOOTER);
  expect(uses(message)).toEqual([]);
});

test('asked to write down what a summary may lose, it calls nothing', () => {
  const note = {
    type: 'text',
    text: '[A summary is about to take the place of this conversation. Before that, write it down.]',
  };
  const message = reply([{ role: 'user', content: [{ type: 'text', text: xml('run: date') }, note] }]);
  expect([text(message), uses(message)]).toEqual(['nothing', []]);
});

test('output cannot break out of its code block, and the same request gives the same reply', () => {
  const shown = play([user('run: cat x')], () => 'a\n```\nb').text;
  expect(shown).toContain('````\na');
  expect(reply([user('run: date')])).toEqual(reply([user('run: date')]));
});

test('a request that is no conversation is answered with a text, not with an error', () => {
  for (const body of [{}, { messages: [3, { role: 'user', content: { a: 1 } }] }, { messages: [], tools: 'x' }])
    expect(demoReply(body)).toMatchObject({ stop_reason: 'end_turn', content: [{ type: 'text' }] });
});
