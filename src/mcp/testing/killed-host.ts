// A host that is there to be killed: opens one box, says when its program has spoken, and waits.
import { pino } from 'pino';
import { systemClock as clock } from '../../core/clock.js';
import { lookupAll } from '../../egress/lookup.js';
import { createDockerSandbox } from '../../sandbox/docker.js';
import { connectEngine } from '../../sandbox/engine.js';
import { containerUser } from '../../sandbox/home.js';
import { createSecrets } from '../../secrets/secrets.js';
import { createBoxes } from '../box.js';

const [, , dataDir = '', homeId = '', image = '', folder = ''] = process.argv;

async function main(): Promise<void> {
  const log = pino({ enabled: false });
  const sandbox = createDockerSandbox({
    engine: connectEngine(process.env),
    image,
    homeId,
    user: containerUser(),
    clock,
    log,
  });
  const openBox = createBoxes({
    sandbox,
    lookup: lookupAll,
    clock,
    log,
    secrets: createSecrets(),
    config: { dataDir },
    onWorks: () => undefined,
  });
  const command = ['sh', '-c', 'trap "" TERM HUP; echo ready; while :; do sleep 1; done'];
  const box = await openBox({ server: { name: 'killed', command, egress: [] }, folder, env: {} });
  box.stdout.pipe(process.stdout);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
