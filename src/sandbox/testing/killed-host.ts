// A host that is there to be killed: starts one container whose runner is in argv[2], under the home id argv[3], says its id, waits.
import { pino } from 'pino';
import { systemClock } from '../../clock.js';
import { containerUser } from '../../home.js';
import { createDockerSandbox } from '../docker.js';
import { connectEngine } from '../engine.js';

const [, , program = '', homeId = '', image = '', script = ''] = process.argv;
const server = import('node:http').then(({ createServer }) =>
  createServer((req, res) => {
    if (req.url === '/ready') process.stdout.write('ready\n');
    res.end(script);
  }),
);

async function main(): Promise<void> {
  const sandbox = createDockerSandbox({
    ...{ engine: connectEngine(process.env), image, homeId, user: containerUser(), clock: systemClock },
    log: pino({ enabled: false }),
  });
  const http = await server;
  const mounts = [{ source: program, target: '/opt/pinch', readOnly: true }];
  await sandbox.start({ folder: 'main', mounts }, (connection) => http.emit('connection', connection));
}
process.stdout.write('starting\n');
main().catch((error) => {
  console.error(error);
  process.exit(1);
});
