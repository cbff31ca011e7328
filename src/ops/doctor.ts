// `pinch doctor`: looks at everything a run depends on and says what to do about what is wrong. The list of checks is below; what
// each looks at is in the file it comes from. Changes nothing but the note of when the database was read whole, works with and without the daemon, shows no secret.
import { describeError, PinchError } from '../core/errors.js';
import { checkChannels, checkDaemon, checkPort, checkService } from './doctor-daemon.js';
import { checkDatabase } from './doctor-database.js';
import {
  checkClock,
  checkDisk,
  checkEngine,
  checkImage,
  checkMounts,
  checkNode,
  checkPermissions,
  checkProxies,
  checkServices,
  checkSettings,
} from './doctor-machine.js';
import { checkModel } from './doctor-model.js';
import { checkWalls } from './doctor-walls.js';
import { type CheckDeps, type Finding, failure } from './finding.js';

const checks: [name: string, check: (deps: CheckDeps) => Finding | Finding[] | Promise<Finding | Finding[]>][] = [
  ['node', checkNode],
  ['settings', checkSettings],
  ['docker', checkEngine],
  ['image', checkImage],
  ['walls', checkWalls],
  ['mounts', checkMounts],
  ['services', checkServices],
  ['proxies', checkProxies],
  ['disk', checkDisk],
  ['permissions', checkPermissions],
  ['clock', checkClock],
  ['database', checkDatabase],
  ['daemon', checkDaemon],
  ['channels', checkChannels],
  ['service', checkService],
  ['port', checkPort],
  ['model', checkModel],
];

const MAX_DETAIL = 400;

export type NamedFinding = Finding & { check: string };

/** Who is told what it does while it works. */
export interface Watcher {
  begins(check: string): void;
  found(findings: NamedFinding[]): void;
}

/** All findings, in the order of the list. Never throws: a check that cannot look has failed. */
export async function examine(deps: CheckDeps, watcher?: Watcher): Promise<NamedFinding[]> {
  const findings: NamedFinding[] = [];
  for (const [check, look] of checks) {
    watcher?.begins(check);
    const found = await Promise.resolve(deps).then(look).catch(failureOf);
    const named = [found].flat().map((finding) => ({ check, ...withoutSecrets(finding, deps) }));
    watcher?.found(named);
    findings.push(...named);
  }
  return findings;
}

/** One line each, the fix below. */
export function showFindings(findings: NamedFinding[]): string {
  const signs = { ok: '✓', warning: '!', failure: '✗', skipped: '–' };
  const line = ({ check, state, detail, fix }: NamedFinding) =>
    `${signs[state]} ${check}: ${detail}\n${fix ? `    → ${fix}\n` : ''}`;
  return findings.map(line).join('');
}

function failureOf(error: unknown): Finding {
  const known = error instanceof PinchError ? error : undefined;
  return failure(known?.message ?? describeError(error), known?.hint ?? 'correct that, and look again');
}

/** Whatever a server or a library put into its message. */
function withoutSecrets(finding: Finding, { config }: CheckDeps): Finding {
  const secrets = Object.entries(config.env).flatMap(([name, value]) =>
    value && value.length > 5 && /KEY|TOKEN|SECRET|PASSWORD/.test(name) ? [value] : [],
  );
  const clean = (text: string) => secrets.reduce((left, secret) => left.replaceAll(secret, '[hidden]'), text);
  // Cut afterwards: half a secret would not be found.
  return { ...finding, detail: clean(finding.detail).slice(0, MAX_DETAIL) };
}
