// What people read of a run that works: the words of each tool, and what must never be among them.
import { describe, expect, test } from 'vitest';
import { markdownToTelegramHtml } from '../markdown/format.js';
import { follow, noProgress, progressOf, progressText, progressView } from './progress.js';
import { markdownStep, plainStep, stepOf } from './steps.js';

const step = (tool: string, input: object) => plainStep(stepOf(tool, JSON.stringify(input)));

test.each([
  ['read', { path: '/workspace/inbox/3-0-report.pdf' }, 'Reading 3-0-report.pdf'],
  ['write', { path: 'notes/', content: 'x' }, 'Writing notes'],
  ['edit', { path: 'a/b.ts' }, 'Changing b.ts'],
  ['bash', { command: 'npm test' }, 'Running a command: npm test'],
  ['bash', { command: 'cd x\n\tmake   all' }, 'Running a command: cd x make all'],
  ['bash', {}, 'Running a command'],
  ['web_fetch', { url: 'https://user:pass@example.com/a?token=abc' }, 'Looking at example.com'],
  ['web_fetch', { url: 'no address' }, 'Looking at'],
  ['web_search', { query: 'tea "green"' }, 'Searching the web: tea "green"'],
  ['todo', { items: [] }, 'Planning'],
  ['calendar__list_events', { secret: 'x' }, 'Using calendar list events'],
  ['constructor', {}, 'Using constructor'],
  ['', {}, 'Using'],
])('%s %j', (tool, input, text) => {
  expect(step(tool, input)).toBe(text);
});

test('an input whose end was cut off, and one that is no JSON, say what they can', () => {
  expect(plainStep(stepOf('bash', '{"command":"echo \\"hi\\" && sle'))).toBe('Running a command: echo "hi" && sle');
  expect(plainStep(stepOf('bash', '{"command":"echo \\'))).toBe('Running a command: echo');
  expect(plainStep(stepOf('read', '[1,2'))).toBe('Reading');
});

describe('never shown', () => {
  const KEY = 'q8Zr4LmT0vXw2YbN6cDf';
  test.each([
    `curl -H "Authorization: Bearer ${KEY}" https://a.example`,
    `curl -H 'X-Api-Key: ${KEY}' https://a.example`,
    `curl -u me:${KEY} https://a.example`,
    `curl --user=me:${KEY} a.example`,
    `export GITHUB_TOKEN=${KEY}; make`,
    `DB_PASSWORD='${KEY}' ./run`,
    `psql postgres://me:${KEY}@db.example/x`,
    `tool --password ${KEY}`,
    `tool --api-key=${KEY} go`,
    `curl "https://a.example/?access_token=${KEY}&x=1"`,
    `echo '{"client_secret": "${KEY}"}'`,
    `echo sk-ant-${KEY}`,
    `echo ghp_${KEY}`,
    `echo ${KEY}${KEY}`,
    `echo ${'0123456789abcdef'.repeat(3)}`,
  ])('%s', (command) => {
    const shown = step('bash', { command });
    expect(shown).not.toContain(KEY);
    expect(shown).not.toContain('0123456789abcdef0123');
    expect(shown).toContain('…');
    const said = noProgress();
    follow(said, { id: 1, kind: 'note', detail: { said: command, todo: `- [ ] ${command}` } });
    expect(progressText(said, { elapsedMs: 1, full: true })).not.toContain(KEY);
  });

  test('markup, links, mentions and what is not seen', () => {
    const progress = noProgress();
    const evil = '<b>x</b> [click](https://evil.example) @anna \u202e **bold**\n\n# head';
    for (const [id, kind, detail] of [
      [1, 'note', { said: evil, todo: `- [x] ${evil}\n- [ ] ${evil}\nnot an item` }],
      [2, 'tool_started', { tool: 'read', id: 'a', input: JSON.stringify({ path: evil.replaceAll('/', '') }) }],
      [3, 'tool_started', { tool: 'bash', id: 'b', input: JSON.stringify({ command: `\`${evil}` }) }],
    ] as const)
      follow(progress, { id, kind, detail });
    const html = markdownToTelegramHtml(progressText(progress, { elapsedMs: 61_000, full: true }));
    expect(html).not.toMatch(/<b>(?!Working)|<a |@anna(?!.*<\/code>)|\u202e|<h/);
    expect(html.split('\n').length).toBe(5);
    expect(markdownStep(stepOf('bash', '{"command":"a`b"}'))).toBe("Running a command: `a'b`");
  });

  test('a container that reports nonsense fills nothing', () => {
    const progress = noProgress();
    for (let id = 1; id < 5_000; id += 1) {
      follow(progress, {
        id,
        kind: 'tool_started',
        detail: { tool: 'x'.repeat(4_000), id: `${id}`, input: '{'.repeat(4_000) },
      });
      follow(progress, { id, kind: 'note', detail: { todo: '- [ ] x\n'.repeat(500), said: 7 } });
      follow(progress, { id, kind: 'tool_finished', detail: { id: 'nobody', ok: 'yes' } });
    }
    expect([progress.open.size, progressView(progress).todo.length]).toEqual([20, 100]);
    expect(progressText(progress, { elapsedMs: 1, full: true }).length).toBeLessThan(2_000);
  });
});

test('of a long list the part that is worked on is shown', () => {
  const todo = Array.from({ length: 30 }, (_, n) => `- [${n < 20 ? 'x' : n === 20 ? '~' : ' '}] step ${n}`).join('\n');
  const progress = noProgress();
  follow(progress, { id: 1, kind: 'note', detail: { todo } });
  const lines = progressText(progress, { elapsedMs: 3_700_000, full: false }).split('\n');
  expect(lines.slice(0, 4)).toEqual(['**Working** · 1 h 1 min', '☑ step 18', '☑ step 19', '▸ step 20']);
  expect(lines.slice(-2)).toEqual(['20 of 30 done', 'Thinking…']);
});

test('for programs: the step, the words, the list', () => {
  const events = [
    { id: 1, kind: 'claimed', detail: { attempt: 1 } },
    { id: 2, kind: 'note', detail: { said: 'Let me see.', todo: '- [~] look' } },
    { id: 3, kind: 'model_retry', detail: { why: 'overloaded' } },
  ];
  expect(progressOf(events)).toEqual({
    ...{ step: 'Waiting for the model, which did not answer', words: 'Let me see.' },
    todo: [{ text: 'look', state: 'in_progress' }],
  });
});
