// A mail server of real programs on 127.0.0.1, Dovecot for IMAP and Exim for SMTP, with their whole state in a temporary folder.
// Exim says of each mail whether its sender is proven: whoever logged in as the address in From is.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort } from '../e2e/harness.js';
import { submitMail } from './mail-submit.js';

export const AUTH_SERVER = 'mx.pinch.test';
export const PASSWORD = 'canary-mail-password';
/** Whom the stored mails belong to: without its own configuration in /etc, Exim delivers as nobody else. */
const OWNER = 'Debian-exim';

interface Ports {
  /** An address of this server alone, 127.x.y.z, with the ports that mail servers have: 143, 993, 465 and 587. */
  host: string;
  /** On 127.0.0.1 and 127.0.0.2, with STARTTLS for those who want it. */
  imapPort: number;
  smtpPort: number;
  /** TLS from the start. */
  imapsPort: number;
  smtpsPort: number;
}

export interface MailServer extends Ports {
  /**
   * File of the authority that signed the certificate, for NODE_EXTRA_CA_CERTS; nobody else trusts it. The certificate is for
   * `localhost`, 127.0.0.2, `host` and the names below `pinch.test`.
   */
  ca: string;
  /** Makes a mailbox; its password is PASSWORD. */
  add(address: string): void;
  /** Hands a mail over as `login` does; its lines may end with LF. Resolves once it lies in the mailbox. */
  submit(mail: { raw: string; login: string; to: string }): Promise<void>;
  /** Lays mails into a folder that is there, oldest first, as they are: not even their headers have to make sense. */
  put(address: string, mails: { raw: string | Buffer; receivedAt?: Date }[], folder?: string): void;
  /** Mails of a folder, of the inbox by default, oldest first, as they lie on the disk; `flags` as Maildir writes them. */
  mails(address: string, folder?: string): { seen: boolean; flags: string; raw: string }[];
  /** As an operator does who restores a mailbox: every mail gets a new UID in a new UIDVALIDITY. */
  rebuild(address: string): void;
  close(): Promise<void>;
}

/** Why the servers cannot run here, in words; undefined when they can. Installs them where it may. */
export function mailServerProblem(): string | undefined {
  const { status, stdout } = spawnSync(process.execPath, [join(import.meta.dirname, 'mail-programs.mjs')], {
    encoding: 'utf8',
  });
  if (status !== 0) return stdout.trim();
  return process.getuid?.() === 0 ? undefined : 'the mail servers can be started by root only';
}

export async function startMailServer(): Promise<MailServer> {
  const folder = mkdtempSync(join(tmpdir(), 'pinch-mail-'));
  const ports: Ports = {
    host: `127.${randomInt(2, 250)}.${randomInt(1, 250)}.${randomInt(1, 250)}`,
    imapPort: await freePort(),
    smtpPort: await freePort(),
    imapsPort: await freePort(),
    smtpsPort: await freePort(),
  };
  for (const name of ['mail', 'run', 'spool']) mkdirSync(join(folder, name), { mode: 0o755 });
  // Both programs drop root; the folder itself is 0700 by default.
  spawnSync('chmod', ['755', folder]);
  spawnSync('chown', ['-R', OWNER, join(folder, 'spool'), join(folder, 'mail')]);
  const ca = makeCertificate(folder, ports.host);
  writeFileSync(join(folder, 'dovecot.conf'), dovecotConfig(folder, ports));
  writeFileSync(join(folder, 'exim.conf'), eximConfig(folder, ports));
  const dovecot = spawn('/usr/sbin/dovecot', ['-F', '-c', join(folder, 'dovecot.conf')], { stdio: 'ignore' });
  const exim = spawn('/usr/sbin/exim4', ['-C', join(folder, 'exim.conf'), '-bdf'], { stdio: 'ignore' });
  const close = async () => {
    await Promise.all([end(dovecot), end(exim)]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  try {
    await Promise.all([answers(ports.imapPort, '* OK'), answers(ports.smtpPort, '220 ')]);
  } catch (error) {
    const log = ['dovecot.log', 'spool/main.log', 'spool/panic.log']
      .map((name) => join(folder, name))
      .filter(existsSync);
    const said = log.map((path) => readFileSync(path, 'utf8')).join('\n');
    await close();
    throw new Error(`the mail server did not start: ${said}`, { cause: error });
  }
  return { ...ports, ca, ...boxes(folder), ...submission(folder, ports.smtpPort), close };
}

/** An authority and what it signed, made new each time. Returns the file of the authority. */
function makeCertificate(folder: string, host: string): string {
  const path = (name: string) => join(folder, name);
  const make = (name: string, ...args: string[]) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', path(`${name}.key`)];
    const made = spawnSync('openssl', ['req', '-x509', '-days', '2', ...key, ...args, '-out', path(`${name}.pem`)]);
    if (made.status !== 0) throw new Error(`openssl made no certificate: ${made.stderr}`);
  };
  make('ca', '-subj', '/CN=an authority of the tests');
  const names = `subjectAltName=DNS:localhost,DNS:*.pinch.test,IP:127.0.0.2,IP:${host}`;
  const signed = ['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-addext', 'basicConstraints=critical,CA:FALSE'];
  make('tls', '-subj', '/CN=localhost', '-addext', names, ...signed);
  spawnSync('chown', [OWNER, path('tls.key')]);
  return path('ca.pem');
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

function answers(port: number, greeting: string): Promise<true> {
  const once = () =>
    new Promise<true | undefined>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      const done = (is: true | undefined) => {
        socket.destroy();
        resolve(is);
      };
      socket.once('data', (bytes) => done(bytes.toString().startsWith(greeting) || undefined));
      socket.once('error', () => done(undefined));
    });
  return eventually(once, `a greeting on port ${port}`);
}

/** Of a folder; Maildir puts all others beside the inbox. */
const maildir = (root: string, address: string, folder = 'INBOX') =>
  join(root, 'mail', address, 'Maildir', folder === 'INBOX' ? '' : `.${folder}`);

/** A name begins with seconds, M, microseconds, as Exim and Dovecot write it. Microseconds since 1970. */
function deliveredAt(file: string): number {
  const [, seconds = 0, micro = 0] = /^(\d+)\.M(\d+)/.exec(file) ?? [];
  return Number(seconds) * 1_000_000 + Number(micro);
}

function stored(root: string, address: string, folder?: string): ReturnType<MailServer['mails']> {
  const files = ['new', 'cur'].flatMap((name) => {
    const path = join(maildir(root, address, folder), name);
    return existsSync(path) ? readdirSync(path).map((file) => ({ file, path: join(path, file) })) : [];
  });
  const sorted = files.sort((a, b) => deliveredAt(a.file) - deliveredAt(b.file));
  try {
    return sorted.map(({ file, path }) => {
      const flags = /:2,(\w*)/.exec(file)?.[1] ?? '';
      return { seen: flags.includes('S'), flags, raw: readFileSync(path, 'utf8') };
    });
  } catch (error) {
    // Dovecot renames a file when its flags change: it is there under another name.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return stored(root, address, folder);
    throw error;
  }
}

function boxes(root: string): Pick<MailServer, 'add' | 'put' | 'mails' | 'rebuild'> {
  let count = 0;
  return {
    add(address) {
      for (const name of ['', 'new', 'cur', 'tmp']) mkdirSync(join(maildir(root, address), name), { recursive: true });
      spawnSync('chown', ['-R', OWNER, join(root, 'mail', address)]);
    },
    put(address, mails, folder) {
      const { uid, gid } = statSync(maildir(root, address, folder));
      for (const { raw, receivedAt = new Date() } of mails) {
        count += 1;
        const name = `${Math.floor(receivedAt.getTime() / 1_000)}.M${String(count).padStart(6, '0')}P1.pinch`;
        const path = join(maildir(root, address, folder), 'new', name);
        writeFileSync(path, typeof raw === 'string' ? raw.replace(/\r?\n/g, '\r\n') : raw);
        chownSync(path, uid, gid);
        utimesSync(path, receivedAt, receivedAt);
      }
    },
    mails: (address, folder) => stored(root, address, folder),
    rebuild(address) {
      const { status, stderr } = spawnSync('rm', [
        '-f',
        ...['uidlist', 'index.cache', 'index.log', 'index'].map((name) =>
          join(maildir(root, address), name === 'uidlist' ? 'dovecot-uidlist' : `dovecot.${name}`),
        ),
      ]);
      if (status !== 0) throw new Error(String(stderr));
    },
  };
}

function submission(root: string, port: number): Pick<MailServer, 'submit'> {
  return {
    async submit({ raw, login, to }) {
      const before = stored(root, to).length;
      await submitMail({ port, login, password: PASSWORD, to, raw });
      await eventually(() => stored(root, to).length > before || undefined, 'the mail lies in the mailbox');
    },
  };
}

const dovecotConfig = (folder: string, { host, imapPort, imapsPort }: Ports) => `
protocols = imap
listen = 127.0.0.1, 127.0.0.2
base_dir = ${folder}/run
log_path = ${folder}/dovecot.log
ssl = yes
ssl_cert = <${folder}/tls.pem
ssl_key = <${folder}/tls.key
ssl_dh =
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:${folder}/mail/%u/Maildir
first_valid_uid = 1
default_vsz_limit = 0
mail_max_userip_connections = 100
service imap-login {
  inet_listener imap {
    port = ${imapPort}
  }
  inet_listener imaps {
    port = ${imapsPort}
    ssl = yes
  }
  inet_listener imap-usual {
    address = ${host}
    port = 143
  }
  inet_listener imaps-usual {
    address = ${host}
    port = 993
    ssl = yes
  }
  process_min_avail = 1
}
passdb {
  driver = static
  args = password=${PASSWORD}
}
userdb {
  driver = static
  args = uid=${OWNER} gid=${OWNER} home=${folder}/mail/%u
}
# It would slow down whoever tried a wrong password.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
namespace inbox {
  inbox = yes
  mailbox Drafts {
    auto = create
    special_use = \\Drafts
  }
  mailbox Sent {
    auto = create
    special_use = \\Sent
  }
  mailbox Trash {
    auto = create
    special_use = \\Trash
  }
  mailbox Receipts {
    auto = create
  }
}
`;

const eximConfig = (folder: string, { host, smtpPort, smtpsPort }: Ports) => `
primary_hostname = ${AUTH_SERVER}
spool_directory = ${folder}/spool
log_file_path = ${folder}/spool/%s.log
pid_file_path = ${folder}/exim.pid
keep_environment =
deliver_drop_privilege = true
host_lookup =
helo_lookup_domains =
local_interfaces = 127.0.0.1.${smtpPort} : 127.0.0.2.${smtpPort} : 127.0.0.1.${smtpsPort} : ${host}.465 : ${host}.587
tls_advertise_hosts = *
tls_on_connect_ports = ${smtpsPort} : 465
tls_certificate = ${folder}/tls.pem
tls_privatekey = ${folder}/tls.key
smtp_accept_max = 100
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 1000
queue_run_in_order = true
message_size_limit = 30M
acl_smtp_rcpt = rcpt
acl_smtp_data = data
begin acl
rcpt:
  deny
    message = 5.7.1 log in first
    !authenticated = *
  require
    message = 5.1.1 no such mailbox
    verify = recipient
  accept
data:
  warn
    set acl_m_proof = \${if eqi{\${address:$h_from:}}{$authenticated_id}{pass}{fail}}
    remove_header = Authentication-Results
    add_header = :at_start:Authentication-Results: ${AUTH_SERVER}; dmarc=$acl_m_proof header.from=\${domain:\${address:$h_from:}}
  accept
begin routers
mailbox:
  driver = accept
  condition = \${lookup{$local_part@$domain}dsearch{${folder}/mail}{yes}{no}}
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = \${lookup{$local_part@$domain}dsearch,ret=full{${folder}/mail}}/Maildir
  maildir_format
  return_path_add
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if eq{$auth3}{${PASSWORD}}}
  server_set_id = $auth2
`;
