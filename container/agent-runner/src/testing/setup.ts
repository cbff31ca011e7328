// For tests: the agent in this process, between a test host and the strict fake of the Messages API, on folders of its own.
import fs from 'node:fs';
import path from 'node:path';
import type { FinishReport, RunSpec } from '../../../../src/wire.js';
import type { Step } from '../../../../test/fakes/anthropic.js';
import { startFakeAnthropic } from '../../../../test/fakes/anthropic.js';
import { startAgent } from '../agent.js';
import type { Paths } from '../context.js';
import type { HistoryRecord } from '../records.js';
import { historyRecord } from '../records.js';
import { startTestHost, testRun } from './host.js';

export function makePaths(): Paths & { root: string } {
  // Not in /tmp, which the file tools may use: the sessions must be outside, as they are in a container.
  const root = fs.realpathSync(fs.mkdtempSync('/var/tmp/pinch-runner-'));
  const at = (name: string) => {
    fs.mkdirSync(path.join(root, name));
    return path.join(root, name);
  };
  const own = { workspace: at('workspace'), global: at('global'), sessions: at('sessions'), skills: at('skills') };
  return { root, ...own, mounts: [] };
}

/** Every record of a session's file; throws when a line is not one. */
export function readHistory(paths: Paths, session = 'main-1'): HistoryRecord[] {
  const text = fs.readFileSync(path.join(paths.sessions, `${session}.jsonl`), 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => historyRecord.parse(JSON.parse(line)));
}

/** Of another provider: nothing is special about it. */
const OTHER_MODEL = {
  ...{ maxTokens: 64_000, windowTokens: 1_000_000, prefill: true, forcedToolChoice: true, bindsThinking: false },
};

/** Starts all three; `steps` are what the model answers, in order; `models`: those it knows besides its own. */
export async function setUp(
  steps: Step[],
  { models = [], ...options }: { stallMs?: number; reader?: string; picture?: string; models?: string[] } = {},
) {
  const known = Object.fromEntries(models.map((name) => [name, OTHER_MODEL]));
  const fake = await startFakeAnthropic({ script: steps, key: 'link', models: known });
  const host = await startTestHost(fake.url);
  const paths = makePaths();
  const startOne = () => startAgent({ port: host.port, paths, reader: '', ...options });
  let agent = startOne();
  async function stop(): Promise<void> {
    host.push({ type: 'stop' });
    await agent.ended;
    agent.killAll();
  }
  return {
    fake,
    host,
    paths,
    agent,
    /** Another runner in the place of this one. */
    async restart(): Promise<void> {
      await stop();
      await host.workEnded();
      agent = startOne();
    },
    start: (changes: Partial<RunSpec> = {}) => host.push({ type: 'run', run: testRun(changes) }),
    /** Starts a run and waits for its report. */
    run(changes: Partial<RunSpec> = {}): Promise<FinishReport> {
      const run = testRun(changes);
      host.push({ type: 'run', run });
      return host.finished(run.id);
    },
    history: (session?: string) => readHistory(paths, session),
    async close() {
      await stop();
      await Promise.all([host.close(), fake.close()]);
      fs.rmSync(paths.root, { recursive: true, force: true });
    },
  };
}

export type Bench = Awaited<ReturnType<typeof setUp>>;

/** The text of every user message of the last request the model got. */
export function lastUserText(bench: Bench): string {
  return JSON.stringify(bench.fake.requests.at(-1)?.body?.messages.filter((m) => m.role === 'user'));
}

export const use = (name: string, input: object, id?: string) => ({
  type: 'tool_use' as const,
  name,
  input: { ...input },
  ...(id !== undefined && { id }),
});

/** Whether the process runs (Linux). */
export function isAlive(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  // A killed process that nobody has waited for yet is a zombie, and dead.
  return fs.existsSync(stat) && !/\) Z /.test(fs.readFileSync(stat, 'utf8'));
}
