// A real XMPP server, Prosody, on 127.0.0.1 with its whole state in a temporary folder: accounts, rooms with archives, uploads.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort } from '../e2e/harness.js';

export const DOMAIN = 'localhost';
export const ROOMS = 'rooms.localhost';
export const PASSWORD = 'canary-xmpp-password';

export interface XmppServer {
  port: number;
  /** Makes an account with PASSWORD; `name` has letters and digits only. Returns its address. */
  add(name: string): string;
  close(): Promise<void>;
}

/** Why the server cannot run here, in words; undefined when it can. Installs it where it may. */
export function xmppServerProblem(): string | undefined {
  const { status, stdout } = spawnSync(process.execPath, [join(import.meta.dirname, 'xmpp-programs.mjs')], {
    encoding: 'utf8',
  });
  if (status !== 0) return stdout.trim();
  return process.getuid?.() === 0 ? undefined : 'the XMPP server can be started by root only';
}

/** With TLS, it has a certificate nobody vouches for, and every client must use it. Passwords are worth nothing here, and proven quickly. */
export async function startXmppServer({ archive = true, tls = false } = {}): Promise<XmppServer> {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-xmpp-'));
  const [port, httpPort] = [await freePort(), await freePort()];
  const accounts = join(folder, 'data', DOMAIN, 'accounts');
  mkdirSync(accounts, { recursive: true });
  const names = ['-subj', `/CN=${DOMAIN}`, '-addext', `subjectAltName=DNS:${DOMAIN}`, '-days', '2', '-nodes'];
  const files = ['-keyout', join(folder, 'tls.key'), '-out', join(folder, 'tls.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const made = spawnSync('openssl', ['req', '-x509', ...curve, ...names, ...files]);
  if (made.status !== 0) throw new Error(`openssl made no certificate: ${made.stderr}`);
  writeFileSync(join(folder, 'prosody.cfg.lua'), configuration({ folder, port, httpPort, archive, tls }));
  const prosody = spawn('/usr/bin/prosody', ['--config', join(folder, 'prosody.cfg.lua'), '-F'], { stdio: 'ignore' });
  const ended = new Promise((resolve) => prosody.once('exit', resolve));
  const close = async () => {
    prosody.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  try {
    await eventually(() => isOpen(port), `somebody on port ${port}`);
  } catch (cause) {
    const log = join(folder, 'log');
    const said = existsSync(log) ? readFileSync(log, 'utf8') : 'nothing';
    await close();
    throw new Error(`Prosody did not start: ${said}`, { cause });
  }
  return {
    port,
    add(name) {
      writeFileSync(join(accounts, `${name}.dat`), `return { ["password"] = "${PASSWORD}"; };\n`);
      return `${name}@${DOMAIN}`;
    },
    close,
  };
}

function isOpen(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (is: true | undefined) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(undefined));
  });
}

interface Options {
  folder: string;
  port: number;
  httpPort: number;
  archive: boolean;
  tls: boolean;
}

const configuration = ({ folder, port, httpPort, archive, tls }: Options) => `
pidfile = "${folder}/pid"
data_path = "${folder}/data"
log = { info = "${folder}/log" }
run_as_root = true
interfaces = { "127.0.0.1" }
c2s_ports = { ${port} }
c2s_direct_tls_ports = {}
http_ports = { ${httpPort} }
http_interfaces = { "127.0.0.1" }
https_ports = {}
s2s_ports = {}
s2s_direct_tls_ports = {}
modules_enabled = { "disco", "roster", "saslauth", "ping", "smacks", "carbons"${archive ? ', "mam"' : ''}${tls ? ', "tls"' : ''} }
modules_disabled = { "s2s", "s2s_auth_certs" }
authentication = "internal_hashed"
default_iteration_count = 1
storage = "internal"
c2s_require_encryption = ${tls}
allow_unencrypted_plain_auth = true
ssl = { key = "${folder}/tls.key", certificate = "${folder}/tls.pem" }
limits = {}
VirtualHost "${DOMAIN}"
Component "${ROOMS}" "muc"
  modules_enabled = { "muc_mam" }
Component "files.${DOMAIN}" "http_file_share"
  http_external_url = "http://127.0.0.1:${httpPort}/"
  http_host = "127.0.0.1"
`;
