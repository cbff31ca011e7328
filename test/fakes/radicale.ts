// A CalDAV server, Debian's Radicale, on 127.0.0.1: one person, who logs in with a password, and her calendars.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../e2e/harness.js';
import { createPlace, programProblem } from './programs.js';

const USER = 'olga';
const PASSWORD = 'canary-calendar-0123456789';

export interface CalendarServer {
  /** Of the person's calendars, with `/` at the end. */
  url: string;
  user: string;
  password: string;
  /** Makes a calendar below `url`; `name` is also what people see. */
  add(calendar: string): Promise<void>;
  /** Stores an event, a VCALENDAR, as somebody's phone does. */
  put(calendar: string, file: string, event: string): Promise<void>;
  /** Names of the events' files. */
  files(calendar: string): Promise<string[]>;
  /** An event as it is stored; undefined when there is none. */
  read(calendar: string, file: string): Promise<string | undefined>;
  close(): Promise<void>;
}

/** Why the server cannot run here, in words; undefined when it can. Installs it where it may. */
export const radicaleProblem = (): string | undefined => programProblem({ '/usr/bin/radicale': 'radicale' });

export async function startRadicale(): Promise<CalendarServer> {
  const place = createPlace('radicale');
  const port = await freePort();
  writeFileSync(join(place.folder, 'users'), `${USER}:${PASSWORD}\n`);
  writeFileSync(join(place.folder, 'config'), configOf(place.folder, port));
  await place.start('/usr/bin/radicale', ['--config', join(place.folder, 'config')], port);
  const url = `http://127.0.0.1:${port}/${USER}/`;
  const authorization = `Basic ${btoa(`${USER}:${PASSWORD}`)}`;
  const call = async (method: string, path: string, body?: string) => {
    const headers = { authorization, depth: '1', 'content-type': body?.startsWith('<') ? 'text/xml' : 'text/calendar' };
    const answer = await fetch(url + path, { method, headers, ...(body !== undefined && { body }) });
    return { status: answer.status, text: await answer.text() };
  };
  const done = async (method: string, path: string, body: string) => {
    const { status, text } = await call(method, path, body);
    if (status !== 201) throw new Error(`${method} ${path}: ${status} ${text}`);
  };
  return {
    ...{ url, user: USER, password: PASSWORD, close: place.close },
    add: (calendar) =>
      done(
        'MKCALENDAR',
        `${calendar}/`,
        `<C:mkcalendar xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><set><prop><displayname>${calendar}</displayname></prop></set></C:mkcalendar>`,
      ),
    put: (calendar, file, event) => done('PUT', `${calendar}/${file}`, event.replace(/\r?\n/g, '\r\n')),
    async files(calendar) {
      const { text } = await call('PROPFIND', `${calendar}/`);
      return [...text.matchAll(/<href>[^<]*\/([^</]+)<\/href>/g)].map(([, file = '']) => file);
    },
    async read(calendar, file) {
      const { status, text } = await call('GET', `${calendar}/${file}`);
      return status === 200 ? text : undefined;
    },
  };
}

const configOf = (folder: string, port: number) => `
[server]
hosts = 127.0.0.1:${port}
[auth]
type = htpasswd
htpasswd_filename = ${folder}/users
htpasswd_encryption = plain
delay = 0
[rights]
type = owner_only
[storage]
filesystem_folder = ${folder}/collections
[logging]
level = warning
`;
