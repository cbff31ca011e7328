// A mail server of real programs on 127.0.0.1, Dovecot for IMAP and Exim for SMTP, with their whole state in a temporary folder.
// Exim says of each mail whether its sender is proven: whoever logged in as the address in From is.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { eventually, freePort } from '../e2e/harness.js';

export const AUTH_SERVER = 'mx.pinch.test';
export const PASSWORD = 'canary-mail-password';
/** Whom the stored mails belong to: without its own configuration in /etc, Exim delivers as nobody else. */
const OWNER = 'Debian-exim';

export interface MailServer {
  imapPort: number;
  smtpPort: number;
  /** Makes a mailbox; its password is PASSWORD. */
  add(address: string): void;
  /** Hands a mail over as `login` does; its lines may end with LF. Resolves once it lies in the mailbox. */
  submit(mail: { raw: string; login: string; to: string }): Promise<void>;
  /** Mails of a mailbox, oldest first, as they lie on the disk. */
  mails(address: string): { seen: boolean; raw: string }[];
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
  const [imapPort, smtpPort] = [await freePort(), await freePort()];
  for (const name of ['mail', 'run', 'spool']) mkdirSync(join(folder, name), { mode: 0o755 });
  // Both programs drop root; the folder itself is 0700 by default.
  spawnSync('chmod', ['755', folder]);
  spawnSync('chown', ['-R', OWNER, join(folder, 'spool'), join(folder, 'mail')]);
  writeFileSync(join(folder, 'dovecot.conf'), dovecotConfig(folder, imapPort));
  writeFileSync(join(folder, 'exim.conf'), eximConfig(folder));
  const dovecot = spawn('/usr/sbin/dovecot', ['-F', '-c', join(folder, 'dovecot.conf')], { stdio: 'ignore' });
  const exim = spawn('/usr/sbin/exim4', ['-C', join(folder, 'exim.conf'), '-bdf', '-oX', `127.0.0.1.${smtpPort}`], {
    stdio: 'ignore',
  });
  const close = async () => {
    await Promise.all([end(dovecot), end(exim)]);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([answers(imapPort, '* OK'), answers(smtpPort, '220 ')]);
  } catch (error) {
    const log = ['dovecot.log', 'spool/main.log', 'spool/panic.log']
      .map((name) => join(folder, name))
      .filter(existsSync);
    const said = log.map((path) => readFileSync(path, 'utf8')).join('\n');
    await close();
    throw new Error(`the mail server did not start: ${said}`, { cause: error });
  }
  return { imapPort, smtpPort, ...boxes(folder), ...submission(folder, smtpPort), close };
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
  return eventually(once, `a greeting on port ${port}`, 15_000);
}

const maildir = (folder: string, address: string) => join(folder, 'mail', address, 'Maildir');

function stored(folder: string, address: string): { seen: boolean; raw: string }[] {
  const files = ['new', 'cur'].flatMap((name) => {
    const path = join(maildir(folder, address), name);
    return readdirSync(path).map((file) => ({ file, path: join(path, file) }));
  });
  // Delivery time in seconds and then its fraction lead the name.
  return files
    .sort((a, b) => a.file.localeCompare(b.file))
    .map(({ file, path }) => ({ seen: /:2,\w*S/.test(file), raw: readFileSync(path, 'utf8') }));
}

function boxes(folder: string): Pick<MailServer, 'add' | 'mails' | 'rebuild'> {
  return {
    add(address) {
      for (const name of ['', 'new', 'cur', 'tmp'])
        mkdirSync(join(maildir(folder, address), name), { recursive: true });
      spawnSync('chown', ['-R', OWNER, join(folder, 'mail', address)]);
    },
    mails: (address) => stored(folder, address),
    rebuild(address) {
      const { status, stderr } = spawnSync('rm', [
        '-f',
        ...['uidlist', 'index.cache', 'index.log', 'index'].map((name) =>
          join(maildir(folder, address), name === 'uidlist' ? 'dovecot-uidlist' : `dovecot.${name}`),
        ),
      ]);
      if (status !== 0) throw new Error(String(stderr));
    },
  };
}

function submission(folder: string, port: number): Pick<MailServer, 'submit'> {
  return {
    async submit({ raw, login, to }) {
      const before = stored(folder, to).length;
      const transport = createTransport({
        host: '127.0.0.1',
        port,
        ignoreTLS: true,
        auth: { user: login, pass: PASSWORD },
      });
      await transport.sendMail({ raw: raw.replace(/\r?\n/g, '\r\n'), envelope: { from: login, to } });
      await eventually(() => stored(folder, to).length > before || undefined, 'the mail lies in the mailbox', 10_000);
    },
  };
}

const dovecotConfig = (folder: string, port: number) => `
protocols = imap
listen = 127.0.0.1
base_dir = ${folder}/run
log_path = ${folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:${folder}/mail/%u/Maildir
first_valid_uid = 1
default_vsz_limit = 0
mail_max_userip_connections = 100
service imap-login {
  inet_listener imap {
    port = ${port}
  }
  inet_listener imaps {
    port = 0
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
namespace inbox {
  inbox = yes
}
`;

const eximConfig = (folder: string) => `
primary_hostname = ${AUTH_SERVER}
spool_directory = ${folder}/spool
log_file_path = ${folder}/spool/%s.log
pid_file_path = ${folder}/exim.pid
keep_environment =
deliver_drop_privilege = true
host_lookup =
helo_lookup_domains =
tls_advertise_hosts =
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
