// The promise that one person can read all of it, measured. Blank and comment lines and tests do not count.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(tsx?|js)$/.test(name) && !name.includes('.test.') && !name.split('/').includes('testing'))
    .map((name) => join(folder, name));
}

/** What skills bring is theirs: a checkout does not grow out of its budget by applying one. */
const ofSkills = new Set(
  readdirSync(join(root, 'skills')).flatMap((name) => {
    const { files = {} } = JSON.parse(readFileSync(join(root, 'skills', name, 'skill.json'), 'utf8'));
    return Object.values(files);
  }),
);

const ours = (): string[] =>
  [...sources('src'), ...sources('container/agent-runner/src')].filter((file) => !ofSkills.has(file));

/** Lines that are neither blank nor comment. */
function codeLines(text: string): number {
  let inBlock = false;
  return text.split('\n').filter((line) => {
    const trimmed = line.trim();
    if (inBlock) {
      inBlock = !trimmed.includes('*/');
      return false;
    }
    if (trimmed.startsWith('/*')) {
      inBlock = !trimmed.includes('*/');
      return false;
    }
    return trimmed !== '' && !trimmed.startsWith('//');
  }).length;
}

const countOf = (files: string[]) =>
  files.reduce((sum, file) => sum + codeLines(readFileSync(join(root, file), 'utf8')), 0);
/** What a model reads of a file, comments too: about so many characters make a token. */
const CHARS_PER_TOKEN = 3.6;
const tokensOf = (files: string[]) =>
  Math.round(files.reduce((sum, file) => sum + readFileSync(join(root, file), 'utf8').length, 0) / CHARS_PER_TOKEN);

interface Area {
  name: string;
  files: RegExp;
  /** Lines of code, at most. */
  lines: number;
  tokens?: number;
  /** What it has to come down to. */
  aim?: string;
}

/**
 * The first that fits counts a file. The orchestrator is what takes a message to a container and an answer back; the rest can be read alone.
 * What each module has for the page's API and for the terminal is counted with those.
 */
const areas: Area[] = [
  { name: 'reading pages and documents', files: /^container\/agent-runner\/src\/(web|tools\/web)/, lines: 870 },
  { name: 'web search', files: /^container\/agent-runner\/src\/tools\/search/, lines: 125 },
  { name: 'runner of servers, names for programs', files: /^container\/agent-runner\/src\/(box|tunnels)/, lines: 125 },
  { name: 'odd answers of back ends', files: /^container\/agent-runner\/src\/(recover|model-errors|mend)/, lines: 366 },
  { name: 'pictures that are too large', files: /^container\/agent-runner\/src\/(image|pictures?)\./, lines: 160 },
  {
    name: 'limits and small windows in the runner',
    files: /^container\/agent-runner\/src\/(limits|small-window)/,
    lines: 97,
  },
  { name: 'tools of MCP servers in the runner', files: /^container\/agent-runner\/src\/tools\/mcp/, lines: 136 },
  { name: 'skills in the runner', files: /^container\/agent-runner\/src\/(skills|front-matter)/, lines: 151 },
  {
    name: 'runs again, dry runs',
    files: /^src\/(runs\/(replay|dry|compare)|sandbox\/dry|egress\/dry)(?!.*(api|terminal)\.ts)/,
    lines: 780,
  },
  { name: 'what a run has room for', files: /^(src\/runs\/attach|container\/agent-runner\/src\/fit)\.ts$/, lines: 135 },
  { name: 'histories of sessions', files: /^container\/agent-runner\/src\/(session|tidy)/, lines: 197 },
  { name: 'whose processes are whose', files: /^container\/agent-runner\/src\/process-owner/, lines: 75 },
  {
    name: 'memory in the runner: journal, what holds always, past sessions',
    files: /^container\/agent-runner\/src\/(journal|memories|write-down|past)/,
    lines: 434,
  },
  { name: 'runner', files: /^container\//, lines: 2_332 },
  { name: 'demo model', files: /^src\/model\/demo-model\.ts$/, lines: 180 },
  { name: 'second model, windows of models', files: /^src\/model\/(overload|fallback|window)/, lines: 268 },
  { name: 'topics', files: /^src\/(channels\/telegram-topics|groups\/forums)\.ts$/, lines: 70 },
  { name: 'progress in chats', files: /^src\/(progress\/|groups\/(progress|steps)\.ts)/, lines: 590 },
  { name: 'albums and edits', files: /^src\/(chats\/(albums|edits|store-edit)|groups\/worked-on)\.ts$/, lines: 145 },
  { name: 'names and mentions', files: /^src\/(channels\/whatsapp-(mentions|people)|core\/mention)\.ts$/, lines: 110 },
  {
    name: 'what was done since yesterday evening, help of the terminal',
    files: /^src\/(recap\/|ops\/help\.ts)/,
    lines: 270,
  },
  { name: 'backups of the whole home', files: /^src\/backup\//, lines: 790 },
  { name: 'retention', files: /^src\/retention\//, lines: 491 },
  { name: 'search in messages', files: /^src\/groups\/search/, lines: 303 },
  { name: 'whose turn it is', files: /^src\/(runs\/fair|sandbox\/turns)\.ts$/, lines: 128 },
  {
    name: 'files of the page',
    files: /^src\/(page\/files|page\/pages\/(attachments|composer)|channels\/web-files)\./,
    lines: 285,
  },
  { name: 'texts of the page', files: /^src\/page\/texts/, lines: 534 },
  { name: 'channels', files: /^src\/channels\//, lines: 2_310 },
  { name: 'Markdown for people', files: /^src\/markdown\//, lines: 715 },
  { name: 'MCP servers', files: /^src\/mcp\//, lines: 2_470 },
  { name: 'oauth', files: /^src\/oauth\//, lines: 810 },
  {
    name: 'control room',
    files: /^src\/page\/((pages\/)?(views?|parts|control|morph|format|lists|shell|live|chat-page)[./])/,
    lines: 2_929,
  },
  { name: 'page and API', files: /^src\/(page\/(?!terminal)|\w+\/(api|http|metrics)\.ts)/, lines: 1_782 },
  { name: 'clocks that jump', files: /^src\/ops\/clock-watch\.ts$/, lines: 85 },
  { name: 'how everything ends', files: /^src\/ops\/(daemon-process|ending)\.ts$/, lines: 160 },
  { name: 'settings that were not meant so', files: /^src\/(ops\/settings-check|core\/nearest)/, lines: 162 },
  { name: 'pinch on the PATH and in shells', files: /^src\/ops\/(link|completion)/, lines: 195 },
  { name: 'machine and doctor for the page', files: /^src\/ops\/(machine|doctor-apart)\.ts$/, lines: 95 },
  { name: 'what is set aside', files: /^src\/(ops\/bad-rows|core\/(begun|set-aside))\.ts$/, lines: 310 },
  {
    name: 'ops, command line and terminal',
    files: /^src\/(ops\/|cli\.ts|\w+\/terminal\.ts)/,
    lines: 2_803,
    aim: '1,050',
  },
  { name: 'what agents may plan', files: /^src\/tasks\/quota\.ts$/, lines: 85 },
  { name: 'updates', files: /^src\/update\//, lines: 66 },
  { name: 'tasks', files: /^src\/tasks\//, lines: 1_875, aim: '1,250' },
  { name: 'quotas of the disk', files: /^src\/quotas\//, lines: 425 },
  { name: 'memory', files: /^src\/memory\//, lines: 767, aim: '220' },
  { name: 'mounts', files: /^src\/mounts\//, lines: 255 },
  { name: 'kinds of engines', files: /^src\/sandbox\/engine-kind/, lines: 72 },
  { name: 'budgets', files: /^src\/budgets\//, lines: 601 },
  { name: 'approvals', files: /^src\/approvals\//, lines: 711, aim: '260' },
  { name: 'taint', files: /^src\/taint\//, lines: 122 },
  { name: 'secrets', files: /^src\/secrets\//, lines: 840 },
  {
    name: 'what went wrong, for people',
    files: /^src\/(model\/(outage|trouble)|runs\/tells|sandbox\/end)\.ts$/,
    lines: 205,
  },
  { name: 'what model calls cost', files: /^src\/model\/(prices|sse)\.ts$/, lines: 148 },
  { name: 'egress', files: /^src\/egress\//, lines: 813, aim: '420' },
  { name: 'services', files: /^src\/services\//, lines: 1_230, aim: '420' },
  {
    name: 'recovery by commands and buttons',
    files:
      /^src\/(runs\/(commands|held-back|pauses|retry-run|run-text)|tasks\/press|budgets\/(amount|raise)|chats\/wrong-command|core\/nearest|delivery\/notice-press|model\/group-models)\.ts$/,
    lines: 745,
  },
  { name: 'orchestrator', files: /^src\//, lines: 7_032, tokens: 121_961, aim: '4,000 lines, 62,000 tokens' },
];

test('the code stays within its budgets, in lines and tokens', () => {
  const all = ours();
  const over = areas.flatMap((area) => {
    const files = all.filter((file) => areas.find((other) => other.files.test(file)) === area);
    const [lines, tokens] = [countOf(files), tokensOf(files)];
    console.log(
      `${area.name}: ${lines} of ${area.lines} lines, ${tokens} tokens${area.aim ? ` (aim: ${area.aim})` : ''}`,
    );
    return lines > area.lines || tokens > (area.tokens ?? Number.POSITIVE_INFINITY) ? [area.name] : [];
  });
  expect(over).toEqual([]);
});

test('no file is longer than 300 lines of code', () => {
  const long = ours().filter((file) => countOf([file]) > 300);
  expect(long).toEqual([]);
});

test('no function is longer than 60 lines', () => {
  const long = ours()
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => longFunctions(readFileSync(join(root, file), 'utf8')).map((name) => `${file} ${name}`));
  expect(long).toEqual([]);
});

/** Top-level functions and methods, by the formatter's indentation: from their first line to the closing brace at the same depth. */
function longFunctions(text: string): string[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const match = /^(\s*)(?:export )?(?:async )?function\*? (\w+)/.exec(line);
    if (!match) return [];
    const end = lines.findIndex((other, at) => at > index && other.startsWith(`${match[1]}}`));
    const size = codeLines(lines.slice(index, end + 1).join('\n'));
    return size > 60 ? [`${match[2]} (${size})`] : [];
  });
}
