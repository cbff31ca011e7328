// Debian's nginx on 127.0.0.1, over TLS, with a password: a folder by WebDAV below /dav/, and git repositories below /git/ by git's own server.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../e2e/harness.js';
import { createPlace, type Place, programProblem } from './programs.js';

const USER = 'olga';
const PASSWORD = 'canary-folder-0123456789';

export interface FolderServer {
  /** `https://localhost:<port>`, or `http://127.0.0.1:<port>` */
  origin: string;
  /** Of the folder, with `/` at the end. */
  davUrl: string;
  /** Of the repositories, with `/` at the end. */
  gitUrl: string;
  user: string;
  password: string;
  /** File of the certificate, for `localhost`, that nobody trusts who is not given it. */
  ca: string;
  /** Stores a file in the folder, as its owner does by other ways. */
  write(path: string, text: string): void;
  /** A file of the folder; undefined when there is none. */
  read(path: string): string | undefined;
  /** Makes a bare repository whose branch `main` has a README with this text. */
  repository(name: string, readme: string): void;
  /** What git prints about a repository: `git('notes.git', 'log', '--oneline')`. */
  git(repository: string, ...args: string[]): string;
  /** Lines of the server's log: `GET /dav/a.md 200 olga`. */
  seen(): string[];
  close(): Promise<void>;
}

/** Why the server cannot run here, in words; undefined when it can. Installs it where it may. */
export const nginxProblem = (): string | undefined =>
  programProblem({
    '/usr/sbin/nginx': 'nginx',
    '/usr/lib/nginx/modules/ngx_http_dav_ext_module.so': 'libnginx-mod-http-dav-ext',
    '/usr/sbin/fcgiwrap': 'fcgiwrap',
    '/usr/lib/git-core/git-http-backend': 'git',
  });

/** `tls: false`: for a process that was started before there was a certificate to trust. */
export async function startNginx({ tls = true } = {}): Promise<FolderServer> {
  const place = createPlace('nginx');
  const { folder } = place;
  const port = await freePort();
  const ca = makeCertificate(place);
  place.run('mkdir', 'dav', 'git', 'temporary');
  const hash = execFileSync('openssl', ['passwd', '-apr1', PASSWORD], { encoding: 'utf8' });
  writeFileSync(join(folder, 'users'), `${USER}:${hash}`);
  writeFileSync(join(folder, 'nginx.conf'), configOf(folder, `${port}${tls ? ' ssl' : ''}`));
  const socket = join(folder, 'cgi.socket');
  await place.start('/usr/sbin/fcgiwrap', ['-f', '-s', `unix:${socket}`], socket);
  await place.start('/usr/sbin/nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')], port);
  const origin = tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
  const log = join(folder, 'seen.log');
  return {
    ...{ origin, davUrl: `${origin}/dav/`, gitUrl: `${origin}/git/`, user: USER, password: PASSWORD, ca },
    ...repositories(place),
    write: (path, text) => void put(place, join(folder, 'dav', path), text),
    read(path) {
      const file = join(folder, 'dav', path);
      return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
    },
    seen: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').filter(Boolean) : []),
    close: place.close,
  };
}

/** A file that belongs to whom the server runs as. */
const put = ({ run }: Place, file: string, text: string) =>
  run('sh', '-c', 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1"', 'sh', file, text);

function repositories(place: Place): Pick<FolderServer, 'repository' | 'git'> {
  const { folder, run } = place;
  const git = (repository: string, ...args: string[]) => run('git', '-C', join(folder, 'git', repository), ...args);
  return {
    git,
    repository(name, readme) {
      const work = join(folder, 'temporary', `work-${name}`);
      run('git', 'init', '-q', '-b', 'main', work);
      put(place, join(work, 'README'), readme);
      run('git', '-C', work, 'add', 'README');
      run('git', '-C', work, '-c', 'user.name=Olga', '-c', 'user.email=olga@example.org', 'commit', '-qm', 'first');
      run('git', 'clone', '-q', '--bare', work, join(folder, 'git', name));
      git(name, 'config', 'http.receivepack', 'true');
    },
  };
}

/** Self-signed, made new each time. */
function makeCertificate({ folder, run }: Place): string {
  const ca = join(folder, 'tls.pem');
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  run('openssl', ...args, ...names, '-keyout', join(folder, 'tls.key'), '-out', ca);
  return ca;
}

const configOf = (folder: string, port: string) => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
events { worker_connections 64; }
http {
  log_format short '$request_method $uri $status $remote_user';
  access_log ${folder}/seen.log short;
  client_body_temp_path ${folder}/temporary;
  proxy_temp_path ${folder}/temporary/proxy;
  fastcgi_temp_path ${folder}/temporary/fastcgi;
  uwsgi_temp_path ${folder}/temporary/uwsgi;
  scgi_temp_path ${folder}/temporary/scgi;
  client_max_body_size 32m;
  server {
    listen 127.0.0.1:${port};
    server_name localhost;
    ssl_certificate ${folder}/tls.pem;
    ssl_certificate_key ${folder}/tls.key;
    auth_basic "folder";
    auth_basic_user_file ${folder}/users;
    location /dav/ {
      alias ${folder}/dav/;
      dav_methods PUT DELETE MKCOL;
      dav_ext_methods PROPFIND OPTIONS;
      create_full_put_path on;
    }
    location ~ ^/git(/.*)$ {
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_PROJECT_ROOT ${folder}/git;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param PATH_INFO $1;
      fastcgi_param REMOTE_USER $remote_user;
      fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol;
      fastcgi_pass unix:${folder}/cgi.socket;
    }
  }
}
`;
