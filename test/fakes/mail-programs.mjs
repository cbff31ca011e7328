// `node test/fakes/mail-programs.mjs`: installs the mail servers the tests run, Dovecot and Exim, where that harms nobody: as root on
// Debian in a container. Elsewhere it prints why not and ends with 1. With both there, it does nothing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const PROGRAMS = { '/usr/sbin/dovecot': 'dovecot-imapd', '/usr/sbin/exim4': 'exim4-daemon-light' };

const missing = Object.entries(PROGRAMS)
  .filter(([program]) => !existsSync(program))
  .map(([, name]) => name);
const why = missing.length === 0 ? undefined : (reasonNotTo() ?? install());
if (why) {
  process.stdout.write(`${why}\n`);
  process.exitCode = 1;
}

function reasonNotTo() {
  const names = missing.join(' and ');
  if (process.getuid?.() !== 0) return `${names} missing, and only root can install and run them`;
  if (!existsSync('/usr/bin/apt-get')) return `${names} missing, and there is no apt-get to install them with`;
  // Where services are started at boot, they would go on running after the tests.
  if (existsSync('/run/systemd/system')) return `${names} missing: apt-get install ${missing.join(' ')}`;
  return undefined;
}

function install() {
  // Test files run beside each other, and apt-get does not wait for another one.
  const apt = (...args) =>
    // Without --no-remove it would take away another mail server.
    spawnSync(
      'flock',
      ['/tmp/pinch-apt.lock', 'apt-get', '-q', '-y', '--no-install-recommends', '--no-remove', ...args],
      {
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
        encoding: 'utf8',
      },
    );
  const ran = [apt('update'), apt('install', ...missing)].at(-1);
  return ran?.status === 0 ? undefined : `apt-get could not install ${missing.join(' ')}: ${ran?.stderr.trim()}`;
}
