// Attacks from inside: a real daemon, a real container, and in the agent's shell a hostile program (hostile/*.mjs), as a model that was
// talked into it would start it. Measures what the host did meanwhile.
import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { z } from 'zod';
import { containersOf, eventually, newHome, removeHome } from '../e2e/harness.js';
import { bash, KEY, runOf, type Scene, say, startScene, waitForRun } from '../e2e/talk.js';
import type { Step } from '../fakes/anthropic.js';
import { HANG_MS } from '../limits.js';
import { type Measured, probeFile, startWatch } from './measure.js';
import { addGroup, numberOf } from './rows.js';
import { names, type Sites, startSites } from './sites.js';

export interface AttackScene extends Scene {
  /** The run whose shell the hostile program is in. */
  runId: number;
  sites: Sites;
  /** What must be in no container and in no answer to one. */
  secrets: string[];
  /** Row ids that a family made for its cases. */
  ids: Record<string, number>;
  close(): Promise<void>;
}

/** What was seen while an attack went on. */
export interface Seen extends Measured {
  scene: AttackScene;
  /** What the program left. */
  answer: unknown;
}

/** An attack that kills its container, or floods: it has a run of its own, in which it is measured. */
export interface AttackCase {
  /** What happens, for whoever reads the list. */
  name: string;
  /** A file of hostile/, without `.mjs`. It is given `input` and the run's id, and leaves an answer (hostile/lib.mjs). */
  program: string;
  input?: Record<string, unknown> | ((at: { scene: AttackScene }) => Record<string, unknown>);
  /** What is done from outside once the answer is there, the program possibly still at it. */
  after?(scene: AttackScene): Promise<void>;
  /** For what is known to take longer than others may. */
  maxBusyMs?: number;
  /** Throws when the host gave in. Limits of pause and memory are checked for every case. */
  check?(seen: Seen): void | Promise<void>;
}

export type GroupName = 'main' | 'others';
/** A program for the shell, what it is given beside the run's id, and what else the model says until the run ends. */
export interface Attack {
  group?: GroupName;
  program: string;
  input?: Record<string, unknown> | undefined;
  steps?: Step[];
  /** Called when the run is there and its program has not begun. */
  begun?: () => unknown;
}

const ANSWER_MS = HANG_MS;
const IN_ENV = `in-env-${randomUUID()}`;

/** A daemon with a probe in it, its first container warm. */
export async function startAttackScene(): Promise<AttackScene> {
  const home = newHome();
  writeFileSync(join(home, '.env'), `SOME_TOKEN=${IN_ENV}\n`);
  const env = {
    NODE_OPTIONS: `--import=${join(import.meta.dirname, 'probe.mjs')}`,
    PINCH_ATTACK_PROBE: probeFile(home),
    PINCH_ATTACK_NAMES: JSON.stringify(names),
    PINCH_EGRESS: 'listed',
    PINCH_BUDGET_USD_DAY: '1000',
    PINCH_BUDGET_USD_GROUP_DAY: '1000',
  };
  const scene = await startScene({ daemon: { home, env } });
  const { close: closeScene } = scene;
  const sites = await startSites((host, port) =>
    scene.daemon.api('POST', '/api/egress', { host, ports: [port], address: '127.0.0.1' }),
  );
  const token = readFileSync(join(home, 'data/dashboard-token'), 'utf8').trim();
  const attackScene = Object.assign(scene, { runId: 0, sites, secrets: [KEY, token, IN_ENV], ids: {} });
  attackScene.close = async () => {
    await closeScene();
    sites.close();
    removeHome(home);
  };
  addGroup(scene, 'others');
  for (const group of ['main', 'others']) {
    const folder = join(home, 'groups', group, 'hostile');
    mkdirSync(folder, { recursive: true });
    cpSync(join(import.meta.dirname, 'hostile'), folder, { recursive: true });
  }
  await warmUp(attackScene);
  return attackScene;
}

/** Everything was used once, so that what an attack costs is the attack's. */
async function warmUp(scene: AttackScene): Promise<void> {
  scene.model.push(bash('true'), { text: 'warm' });
  await waitForRun(scene.daemon, await say(scene.daemon, 'warm up'), OVER);
}

/** Starts a run; in `others` it is one of a task, because nobody writes there. */
export async function startRun(scene: AttackScene, group: GroupName, text: string): Promise<number> {
  if (group === 'main') return say(scene.daemon, text);
  const task = { chat: 'test:others', prompt: text, cron: '0 0 1 1 *' };
  const { body } = await scene.daemon.api('POST', '/api/tasks', task);
  const { id } = z.object({ task: z.object({ id: z.number() }) }).parse(body).task;
  await scene.daemon.api('POST', `/api/tasks/${id}/run`, {});
  return numberOf(scene, 'SELECT max(id) FROM runs WHERE task_id = ?', id);
}

/** Has the program work in the shell of a new run, and resolves with what it left; the run ends after `over` alone. */
async function attackFrom(scene: AttackScene, name: string, attack: Attack, over: Promise<void>): Promise<unknown> {
  const { group = 'main', program, input, steps = [], begun } = attack;
  const answerFile = join(scene.daemon.home, 'groups', group, 'answer.json');
  rmSync(answerFile, { force: true });
  const [known, begin] = gate<number>();
  const command = async () =>
    bash(`node hostile/${program}.mjs '${JSON.stringify({ ...input, runId: await known })}'`, {
      timeout_ms: ANSWER_MS,
    });
  scene.model.push(command, ...steps, () => over.then(() => ({ text: 'done' })));
  scene.runId = await startRun(scene, group, name);
  await begun?.();
  begin(scene.runId);
  await eventually(() => existsSync(answerFile), 'the hostile program left an answer', ANSWER_MS);
  return JSON.parse(readFileSync(answerFile, 'utf8'));
}

/** A promise and what resolves it. */
function gate<T>(): [Promise<T>, (value: T) => void] {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return [promise, open];
}

/** One attack from its start to its end; the run is over afterwards. */
export async function attackOnce(scene: AttackScene, name: string, attack: Attack & Pick<AttackCase, 'after'>) {
  const seen = await startWatch(scene.daemon);
  const [over, end] = gate<void>();
  try {
    const answer = await attackFrom(scene, name, attack, over);
    await attack.after?.(scene);
    return { scene, answer, ...(await seen()) };
  } finally {
    end();
    await endRun(scene);
  }
}

export function runAttack(scene: AttackScene, { name, program, input, after }: AttackCase): Promise<Seen> {
  const given = typeof input === 'function' ? input({ scene }) : input;
  return attackOnce(scene, name, { program, input: given, ...(after && { after }) });
}

/** The next attack begins with nothing going on; a run that is being stopped may take its time. */
async function endRun(scene: AttackScene): Promise<void> {
  const { run } = await runOf(scene.daemon, scene.runId);
  if (run.state === 'leased') await waitForRun(scene.daemon, scene.runId, OVER, 5_000).catch(() => stopRun(scene));
  // What a run that was cut off did not ask for any more.
  while (scene.model.remaining() > 0) {
    await waitForRun(scene.daemon, await say(scene.daemon, 'go on'), OVER);
  }
}

export const OVER = ['done', 'dead', 'cancelled'];

/** What a person does who has seen enough. */
export async function stopRun({ daemon, runId }: AttackScene): Promise<void> {
  await daemon.api('POST', '/api/chat', { text: '/stop' });
  await waitForRun(daemon, runId, OVER, 10_000);
}

/** The engine describes every container within 2 s: none holds the others up. */
export async function engineAnswers(): Promise<void> {
  const docker = new Docker();
  const all = await docker.listContainers({ all: true });
  const inspected = Promise.all(
    all.map(({ Id }) =>
      docker
        .getContainer(Id)
        .inspect()
        .catch(() => undefined),
    ),
  );
  const late = sleep(5_000, 'late', { ref: false });
  if ((await Promise.race([inspected, late])) === 'late') throw new Error('`docker inspect` hangs');
}

/** Of the main group's. */
export function noContainer({ daemon }: AttackScene): Promise<boolean> {
  const isMain = ({ Config }: Awaited<ReturnType<typeof containersOf>>[number]) =>
    Config.Labels['pinch.group'] === 'main';
  const none = async () => !(await containersOf(daemon.home)).some(isMain);
  return eventually(none, 'its container is removed', 15_000);
}
