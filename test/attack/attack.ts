// Attacks from inside: a real daemon, a real container, and in the agent's shell a hostile program (hostile/*.mjs), as a model that was
// talked into it would start it. Measures what the host did meanwhile.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import Docker from 'dockerode';
import { z } from 'zod';
import { listen } from '../../src/egress/testing/inside.js';
import { containersOf, type DaemonProcess, eventually, newHome, removeHome } from '../e2e/harness.js';
import { bash, runOf, type Scene, say, startScene, waitForRun } from '../e2e/talk.js';

export interface AttackScene extends Scene {
  /** The run whose shell the hostile program is in. */
  runId: number;
  /** `host:port` of a site that the owner allowed: it takes everything and, once spoken to, sends for ever. */
  site: string;
  close(): Promise<void>;
}

/** What was seen while an attack went on. */
export interface Seen {
  scene: AttackScene;
  /** What the program left. */
  answer: unknown;
  /** The daemon's longest pause by the clock, and the processor time it used in its longest turn of the loop. */
  pauseMs: number;
  busyMs: number;
  /** Most memory of the daemon above what it had before. */
  growthMb: number;
  /** Open descriptors of the daemon before the attack. */
  descriptors: number;
}

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

const ANSWER_MS = 120_000;
const probeFile = (home: string) => join(home, 'probe.sock');

/** A daemon with a probe in it, its first container warm. */
export async function startAttackScene(): Promise<AttackScene> {
  const home = newHome();
  const env = {
    NODE_OPTIONS: `--import=${join(import.meta.dirname, 'probe.mjs')}`,
    PINCH_ATTACK_PROBE: probeFile(home),
    PINCH_BUDGET_USD_DAY: '1000',
    PINCH_BUDGET_USD_GROUP_DAY: '1000',
  };
  const scene = await startScene({ daemon: { home, env } });
  const close = scene.close;
  const site = await startEndlessSite();
  const attackScene = Object.assign(scene, { runId: 0, site: `site.example:${site.port}` });
  await scene.daemon.api('POST', '/api/egress', { host: 'site.example', ports: [site.port], address: '127.0.0.1' });
  attackScene.close = async () => {
    await close();
    site.close();
    removeHome(home);
  };
  const folder = join(home, 'groups/main/hostile');
  mkdirSync(folder, { recursive: true });
  cpSync(join(import.meta.dirname, 'hostile'), folder, { recursive: true });
  await warmUp(attackScene);
  return attackScene;
}

async function startEndlessSite() {
  const piece = Buffer.alloc(64 * 1024);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const more = () => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    socket.resume().once('data', () => more());
    socket.on('drain', more);
  });
  const port = await listen(server);
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port, close };
}

/** Everything was used once, so that what an attack costs is the attack's. */
async function warmUp(scene: AttackScene): Promise<void> {
  scene.model.push(bash('true'), { text: 'warm' });
  await waitForRun(scene.daemon, await say(scene.daemon, 'warm up'), OVER);
}

/** One attack from its start to its end; the run is over afterwards. Prints its line. */
export async function runAttack(scene: AttackScene, attack: AttackCase): Promise<Seen> {
  const { daemon } = scene;
  const answerFile = join(daemon.home, 'groups/main/answer.json');
  rmSync(answerFile, { force: true });
  const input = typeof attack.input === 'function' ? attack.input({ scene }) : attack.input;
  let begin: (runId: number) => void = () => undefined;
  const known = new Promise<number>((resolve) => {
    begin = resolve;
  });
  const command = async () =>
    bash(`node hostile/${attack.program}.mjs '${JSON.stringify({ ...input, runId: await known })}'`, {
      timeout_ms: ANSWER_MS,
    });
  scene.model.push(command, { text: 'done' });
  const descriptors = descriptorsOf(daemon);
  const idleMb = memoryMb(daemon);
  await askProbe(daemon);
  const watch = watchMemory(daemon);
  scene.runId = await say(daemon, attack.name);
  begin(scene.runId);
  await eventually(() => existsSync(answerFile), 'the hostile program left an answer', ANSWER_MS);
  const answer: unknown = JSON.parse(readFileSync(answerFile, 'utf8'));
  await attack.after?.(scene);
  const seen = { scene, answer, descriptors, ...(await askProbe(daemon)), growthMb: (await watch()) - idleMb };
  console.info(
    `${attack.name}: ${JSON.stringify(answer).slice(0, 300)} | pause ${seen.pauseMs.toFixed(0)} ms, busy ${seen.busyMs.toFixed(0)} ms, memory +${seen.growthMb.toFixed(0)} MB`,
  );
  await endRun(scene);
  return seen;
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

const OVER = ['done', 'dead', 'cancelled'];

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

export function noContainers({ daemon }: AttackScene): Promise<boolean> {
  return eventually(async () => (await containersOf(daemon.home)).length === 0, 'its container is removed', 15_000);
}

const probeAnswer = z.object({ pauseMs: z.number(), busyMs: z.number() });

/** What the probe saw since it was last asked. */
export async function askProbe({ home }: DaemonProcess): Promise<z.infer<typeof probeAnswer>> {
  return probeAnswer.parse(await json(connect(probeFile(home))));
}

export const descriptorsOf = ({ pid }: DaemonProcess): number => readdirSync(`/proc/${pid}/fd`).length;

export function memoryMb({ pid }: DaemonProcess): number {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kb) / 1024;
}

/** The returned function ends the watch and gives the most that was seen. */
function watchMemory(daemon: DaemonProcess): () => Promise<number> {
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, memoryMb(daemon));
  }, 20);
  return async () => {
    clearInterval(timer);
    return most;
  };
}

/** The store of a running daemon, for rows nobody could send through the page. */
export function withStore<T>({ daemon }: Scene, work: (db: Database.Database) => T): T {
  const db = new Database(join(daemon.home, 'data/pinch.db'));
  try {
    return work(db);
  } finally {
    db.close();
  }
}

/** A message with one file that lies at the host, in the web chat or in a chat of a group of its own; returns its id. */
export function addMedia(scene: Scene, group: string, bytes: number): number {
  const id = withStore(scene, (db) => {
    const at = Date.now();
    db.prepare('INSERT OR IGNORE INTO groups (folder, created_at) VALUES (?, ?)').run(group, at);
    db.prepare(
      `INSERT OR IGNORE INTO chats (channel, address, kind, title, group_id, created_at, last_seen_at)
       VALUES ('test', ?1, 'direct', ?1, (SELECT id FROM groups WHERE folder = ?1), ?2, ?2)`,
    ).run({ 1: group, 2: at });
    const media = [{ kind: 'document', fileName: 'a.bin', mimeType: 'x/y', sizeBytes: bytes, ref: 'r', fetched: true }];
    return Number(
      db
        .prepare(
          `INSERT INTO messages (chat_id, direction, platform_id, sender_name, text, media, sent_at, received_at)
           VALUES ((SELECT id FROM chats WHERE channel = 'test' AND address = ?1), 'in', ?2, 'Eve', 'a file', ?3, ?4, ?4)`,
        )
        .run({ 1: group, 2: `m${at}-${Math.random()}`, 3: JSON.stringify(media), 4: at }).lastInsertRowid,
    );
  });
  const folder = join(scene.daemon.home, 'data/media');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${id}-0`), Buffer.alloc(bytes, 7));
  return id;
}

/** Bytes of the timeline of the run that attacks. */
export const timelineBytes = (scene: AttackScene): number =>
  withStore(scene, (db) => {
    const sum = db.prepare('SELECT coalesce(sum(length(detail)), 0) FROM events WHERE run_id = ?');
    return z.number().parse(sum.pluck().get(scene.runId));
  });

/** Lines in its timeline about connections to the outside. */
export const egressLines = (scene: AttackScene): number =>
  withStore(scene, (db) => {
    const count = db.prepare(`SELECT count(*) FROM events WHERE run_id = ? AND kind = 'egress'`);
    return z.number().parse(count.pluck().get(scene.runId));
  });

/** How the main group's containers may reach other hosts, from now on. */
export const setEgressMode = (scene: Scene, mode: string): unknown =>
  withStore(scene, (db) => db.prepare(`UPDATE groups SET egress_mode = ? WHERE folder = 'main'`).run(mode));

/** The most lines within a minute that say in the timeline of one run that a bound was reached. A run right after another may have none. */
export const refusals = (scene: AttackScene): number =>
  withStore(scene, (db) => {
    const inMinute = `SELECT count(*) FROM events b WHERE b.kind = 'refused' AND b.run_id = a.run_id AND b.at BETWEEN a.at AND a.at + 59000`;
    return z
      .number()
      .parse(db.prepare(`SELECT max((${inMinute})) FROM events a WHERE a.kind = 'refused'`).pluck().get());
  });

/** Files that lie in the outbox. */
export const outboxFiles = ({ daemon }: Scene): string[] => {
  const folder = join(daemon.home, 'data/outbox');
  return existsSync(folder) ? readdirSync(folder) : [];
};

/** That many messages in a chat of the main group. */
export function fillHistory(scene: Scene, count: number): void {
  addMedia(scene, 'main', 1);
  const words = ['the', 'that', 'there', 'then', 'they', 'meeting', 'tomorrow', 'a', 'b', 'c', 'd'];
  withStore(scene, (db) => {
    const insert = db.prepare(
      `INSERT INTO messages (chat_id, direction, platform_id, sender_name, text, sent_at, received_at)
       VALUES ((SELECT id FROM chats WHERE channel = 'test' AND address = 'main'), 'in', ?, 'Eve', ?, 1, 1)`,
    );
    const text = (n: number) =>
      [n % 2 ? 'odd' : 'even', ...words.map((word, at) => ((n >> at) & 1 ? word : `th${n * at}`))].join(' ');
    db.transaction(() => {
      for (let n = 0; n < count; n += 1) insert.run(`h${n}`, text(n));
    })();
  });
}

/** Messages of the run that may still go out. */
export function queuedOf({ daemon, runId }: AttackScene): number {
  const db = new Database(join(daemon.home, 'data', 'pinch.db'), { readonly: true });
  const queued = db.prepare(`SELECT count(*) FROM outbox WHERE state = 'queued' AND run_id = ?`).pluck().get(runId);
  db.close();
  return z.number().parse(queued);
}
