// Families of small attacks. The cases of one share a run and a container: one hostile program (hostile/probes.mjs) asks for all of them and
// tells for each what the host answered. A case is a line of a table.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Attack, type AttackScene, attackOnce } from './attack.js';
import { type Measured, startWatch } from './measure.js';
import { eventsOf } from './rows.js';

/** What a case asks for, in one of these ways. */
export type Ask =
  /** Bytes on a connection of their own; `waitMs`: how long the host may be silent (5 s). */
  | { say: string; waitMs?: number }
  /** One request. */
  | { call: string; body?: unknown; headers?: Record<string, string> }
  /** `host:port`, by CONNECT and by a whole URL. */
  | { door: string }
  /** A command; its output is the answer. */
  | { shell: string };

const row = z.object({
  name: z.string(),
  /** One line: status and reason of the host, or what a command printed. */
  answer: z.string(),
  /** The beginning of all that came. */
  raw: z.string(),
  /** Whether the host served this run right after it. */
  alive: z.boolean(),
});
export type Row = z.infer<typeof row>;

export interface SmallCase {
  name: string;
  /** What the answer has to look like. */
  answer: RegExp;
  /** A line of the run's timeline about it. */
  event?: { kind: string; detail: Record<string, unknown> };
  /** Throws when the host gave in. */
  check?(row: Row, scene: AttackScene): void | Promise<void>;
}

/** What came of a family, and what it cost. */
export type FamilySeen = Measured & { rows: Row[]; events: ReturnType<typeof eventsOf> };

export interface Family {
  name: string;
  cases: SmallCase[];
  attack(scene: AttackScene): Promise<FamilySeen>;
  /** What holds for all of them together. Throws when the host gave in. */
  check?(seen: FamilySeen, scene: AttackScene): void | Promise<void>;
}

/** `ask` is made when the run is there. */
export type Probe = SmallCase & { ask: Ask | ((scene: AttackScene) => Ask) };

interface Around extends Pick<Attack, 'group' | 'steps'>, Pick<Family, 'check'> {
  /** Before the run. */
  prepare?(scene: AttackScene): unknown;
  /** When it is there and its program has not begun. */
  begun?(scene: AttackScene): unknown;
  /** With the program's answers here, before the run ends. */
  after?(scene: AttackScene): Promise<void>;
}

/** A family whose cases are asked by the program in one container. */
export function probeFamily(name: string, cases: Probe[], around: Around = {}): Family {
  const { group = 'main', steps, prepare, begun, after, check } = around;
  return {
    name,
    cases,
    ...(check && { check }),
    async attack(scene) {
      await prepare?.(scene);
      const list = join(scene.daemon.home, 'groups', group, 'probes.json');
      const seen = await attackOnce(scene, name, {
        ...{ group, program: 'probes', ...(steps && { steps }), ...(after && { after }) },
        async begun() {
          await begun?.(scene);
          const asked = cases.map(({ name, ask }) => ({ name, ...(typeof ask === 'function' ? ask(scene) : ask) }));
          writeFileSync(list, JSON.stringify(asked));
        },
      });
      rmSync(list);
      return { ...seen, rows: z.array(row).parse(seen.answer), events: eventsOf(scene) };
    },
  };
}

/** A family that works in its own way and says for each case what came of it. */
export function ownFamily(
  name: string,
  cases: SmallCase[],
  work: (scene: AttackScene) => Promise<Map<string, string>>,
): Family {
  return {
    name,
    cases,
    async attack(scene) {
      const seen = await startWatch(scene.daemon);
      const answers = await work(scene);
      const rows = [...answers].map(([name, raw]) => ({ name, raw, answer: raw.slice(0, 300), alive: true }));
      return { ...(await seen()), rows, events: eventsOf(scene) };
    },
  };
}

/** One request of a host call, as JSON. */
export const post = (path: string, body: unknown, headers: Record<string, string> = {}): Ask => ({
  call: `POST ${path}`,
  body,
  headers: { 'content-type': 'application/json', ...headers },
});

/** A line of the timeline about a connection that was refused. */
export const refusedLine = (host: string, why: string) => ({
  kind: 'egress',
  detail: { host, why, verdict: 'refused' },
});
