// Before a start with PINCH_RUNTIME=apple: Apple's container service runs and has the agent image, built from the same Dockerfile.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planImage, recordImage } from './image.mjs';
import { buildArguments, fillContext } from './image-build.mjs';
import { runQuietly, SetupError, say } from './progress.mjs';

const PROGRAM = 'container';
const succeeds = (/** @type {string[]} */ ...args) => spawnSync(PROGRAM, args, { stdio: 'ignore' }).status === 0;

/** Throws SetupError that says what to install or start. @param {import('./engine.mjs').Settings} settings */
export async function prepare(settings) {
  if (!succeeds('--version')) {
    throw new SetupError(
      "Apple's container command is not there: install it from https://github.com/apple/container/releases (macOS 26, Apple silicon).",
    );
  }
  if (!succeeds('list', '--quiet')) throw new SetupError('Its service does not answer: run `container system start`.');
  const plan = planImage(settings);
  if (!succeeds('image', 'inspect', plan.tag)) await build(plan);
  recordImage(plan.tag);
}

/** @param {import('./image-build.mjs').ImagePlan} plan */
async function build(plan) {
  say("Building the agent image with Apple's container command…");
  const folder = mkdtempSync(join(tmpdir(), 'pinch-image-'));
  try {
    fillContext(folder, plan.authorities);
    await runQuietly(PROGRAM, buildArgumentsOf(plan, folder), {
      failure: 'The agent image could not be built: see the lines above.',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {import('./image-build.mjs').ImagePlan} plan @param {string} folder */
export function buildArgumentsOf(plan, folder) {
  const given = Object.entries(buildArguments(plan)).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  return ['build', '--progress', 'plain', '--tag', plan.tag, '--file', join(folder, 'Dockerfile'), ...given, folder];
}
