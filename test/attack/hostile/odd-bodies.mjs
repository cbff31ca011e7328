// Model calls whose bodies are cheap to send and dear to read.
import { call, main } from './lib.mjs';

const MB = 1024 * 1024;
const start = '{"model":"claude-sonnet-5-5","max_tokens":1,"messages":';
const BODIES = {
  numbers: () => `${start}[${'0,'.repeat(MB)}0]}`,
  'empty objects': () => `${start}[${'{},'.repeat(MB)}{}]}`,
  depth: () => `${start}${'['.repeat(2 * MB)}`,
  spaces: () => `${start}${' '.repeat(2 * MB)}[]}`,
  keys: () => `{${Array.from({ length: 500_000 }, (_, at) => `"k${at}":0`).join(',')}}`,
  'one string': () => `${start}[{"role":"user","content":"${'\\"'.repeat(15 * MB)}"}]}`,
  'a model nobody set up': () => `${start.replace('sonnet-5-5', 'opus-9')}[{"role":"user","content":"x"}]}`,
  'a document': () =>
    `${start}[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"http://x"}}]}]}`,
};

main(async ({ runId }) => {
  const headers = { 'x-pinch-run': runId, 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
  const answers = {};
  for (const [kind, body] of Object.entries(BODIES))
    answers[kind] = (await call('POST', '/v1/messages', body(), headers)).status;
  return answers;
});
