// `node test/fakes/xmpp-programs.mjs`: installs the XMPP server the tests run, Prosody, where that harms nobody: as root on Debian in a
// container. Elsewhere it prints why not and ends with 1. When it is there, it does nothing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const why = existsSync('/usr/bin/prosody') ? undefined : (reasonNotTo() ?? install());
if (why) {
  process.stdout.write(`${why}\n`);
  process.exitCode = 1;
}

function reasonNotTo() {
  if (process.getuid?.() !== 0) return 'prosody missing, and only root can install and run it';
  if (!existsSync('/usr/bin/apt-get')) return 'prosody missing, and there is no apt-get to install it with';
  // Where services are started at boot, it would go on running after the tests.
  if (existsSync('/run/systemd/system')) return 'prosody missing: apt-get install prosody';
  return undefined;
}

function install() {
  // Test files run beside each other, and apt-get does not wait for another one.
  const apt = (...args) =>
    spawnSync(
      'flock',
      ['/tmp/pinch-apt.lock', 'apt-get', '-q', '-y', '--no-install-recommends', '--no-remove', ...args],
      {
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
        encoding: 'utf8',
      },
    );
  const ran = [apt('update'), apt('install', 'prosody')].at(-1);
  return ran?.status === 0 ? undefined : `apt-get could not install prosody: ${ran?.stderr.trim()}`;
}
