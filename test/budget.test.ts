// The promise that one person can read all of it, measured (design: line budget). Blank and comment lines and tests do not count.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|js)$/.test(name) && !name.includes('.test.') && !name.split('/').includes('testing'))
    .map((name) => join(folder, name));
}

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

/**
 * Lines of code, at most. Channels and the dashboard have budgets of their own beside the orchestrator's: what a platform's protocol takes
 * (WhatsApp 880, Telegram 361, Markdown for people 335) says nothing about how much there is to hold in mind.
 */
const budgets = { orchestrator: 4_000, channels: 1_850, dashboard: 720, runner: 1_200 };

test('the code stays within its line budget', () => {
  const all = sources('src');
  const of = (folder: string) => all.filter((file) => file.startsWith(`src/${folder}/`));
  const [channels, dashboard] = [of('channels'), of('dashboard')];
  const figures = {
    orchestrator: countOf(all.filter((file) => !channels.includes(file) && !dashboard.includes(file))),
    channels: countOf(channels),
    dashboard: countOf(dashboard),
    runner: countOf(sources('container/agent-runner/src')),
  };
  console.log(`lines of code in src/: ${countOf(all)}`);
  for (const name of ['orchestrator', 'channels', 'dashboard', 'runner'] as const) {
    console.log(`lines of code, ${name}: ${figures[name]} of ${budgets[name]}`);
    expect(figures[name], name).toBeLessThanOrEqual(budgets[name]);
  }
});

test('no file is longer than 300 lines of code', () => {
  const long = [...sources('src'), ...sources('container/agent-runner/src')].filter((file) => countOf([file]) > 300);
  expect(long).toEqual([]);
});

test('no function is longer than 60 lines', () => {
  const long = [...sources('src'), ...sources('container/agent-runner/src')]
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
