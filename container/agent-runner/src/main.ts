// Entry of the agent runner: opens the link on stdin and stdout, starts the agent and ends with it.
import { Console } from 'node:console';
import path from 'node:path';
import { GATEWAY_PORT } from '../../../src/wire.js';
import { startAgent } from './agent.js';
import type { ExtraFolder } from './context.js';
import { openLink } from './link.js';
import { openTunnels } from './tunnels.js';

async function main(): Promise<void> {
  const { env, stdin, stdout } = process;
  const port = Number(env.PINCH_RUNNER_PORT ?? GATEWAY_PORT);
  const link = await openLink({ stdin, stdout, port, onClosed: () => process.exit(0) });
  await openTunnels(env.PINCH_TUNNELS, link.port);
  const at = (name: string) => env[`PINCH_RUNNER_${name.toUpperCase()}`] ?? `/${name}`;
  const own = { workspace: at('workspace'), global: at('global'), sessions: at('sessions'), skills: at('skills') };
  const paths = { ...own, mounts: extraFolders(env.PINCH_MOUNTS) };
  // Beside this bundle.
  const beside = (name: string) => path.join(path.dirname(process.argv[1] ?? ''), name);
  const programs = { reader: beside('reader.cjs'), picture: beside('picture.cjs') };
  const agent = startAgent({ port: link.port, paths, ...programs });
  // Also when the host was killed: nothing may outlive the link.
  process.once('exit', agent.killAll);
  await agent.ended;
  process.exit(0);
}

/** From `/mnt/photos:ro /mnt/notes:rw`, as sandbox/docker.ts says it. */
function extraFolders(text = ''): ExtraFolder[] {
  const words = text.split(' ').filter(Boolean);
  return words.map((word) => ({ path: word.replace(/:\w+$/, ''), readOnly: !word.endsWith(':rw') }));
}

// Standard output is the link, so nothing else may write there.
globalThis.console = new Console(process.stderr, process.stderr);
main().catch((error) => {
  console.error('fatal', error);
  process.exit(1);
});
