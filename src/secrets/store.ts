// The store as the daemon uses it: outgoing messages and the timeline hold no secrets, and those of new hooks, services and channels are known at once.

import type { Secrets } from './secrets.js';
import { inJson } from './values.js';

interface OutgoingRow {
  runId: number | null;
  text: string;
  file?: { fileName: string; path: string } | null | undefined;
  buttons?: { label: string }[] | undefined;
}
interface HookRow {
  id: number;
  secret: string | null;
}
interface TokenRow {
  service: string;
  accessToken: string;
  refreshToken: string | null;
}
interface ClientRow {
  service: string;
  secret: string | null;
}
interface ChannelRows {
  get(kind: string, ids: string[]): Record<string, string>;
  set(rows: { kind: string; value: string | null }[]): void;
}

/** What of the store is looked at. */
export interface GuardedStore {
  outbox: { add(row: OutgoingRow): boolean };
  events: {
    add(runId: number, at: number, kind: string, detail: object): boolean;
    hasRoom(runId: number): boolean;
  };
  runs: { leasedOf(groupId: number, dryRun?: number): number[] };
  tasks: { add(task: Omit<HookRow, 'id'>): HookRow | undefined; hooks(): HookRow[] };
  serviceTokens: { put(tokens: TokenRow): boolean; renew(tokens: TokenRow): boolean; all(): TokenRow[] };
  serviceClients: { put(client: ClientRow): boolean; all(): ClientRow[] };
  channelAuth: { of(channel: string, now: () => number): ChannelRows };
}

/** Tells the timelines of these runs which secret was found where. */
export type Tell = (runIds: number[], secret: string, where: string) => void;

export function guardStore<Store extends GuardedStore>(secrets: Secrets, store: Store, tell: Tell): Store {
  const addHook = (row: HookRow | undefined): void => {
    if (row?.secret) secrets.add(`hook of task ${row.id}`, row.secret);
  };
  for (const task of store.tasks.hooks()) addHook(task);
  const addTokens = ({ service, accessToken, refreshToken }: TokenRow): void => {
    secrets.add(`access token of the service ${service}`, accessToken);
    if (refreshToken !== null) secrets.add(`refresh token of the service ${service}`, refreshToken);
  };
  const addClient = ({ service, secret }: ClientRow): void => {
    if (secret !== null) secrets.add(`client secret of the service ${service}`, secret);
  };
  const { serviceTokens, serviceClients } = store;
  serviceTokens.all().forEach(addTokens);
  serviceClients.all().forEach(addClient);
  const known =
    <Row>(add: (row: Row) => void, write: (row: Row) => boolean) =>
    (row: Row): boolean => {
      add(row);
      return write(row);
    };
  const add: GuardedStore['outbox']['add'] = (row) => {
    const { clean, names } = collect(secrets);
    const file = row.file && { ...row.file, fileName: clean(row.file.fileName), path: clean(row.file.path) };
    const buttons = row.buttons?.map((button) => ({ ...button, label: clean(button.label) }));
    const added = store.outbox.add({ ...row, text: clean(row.text), file, buttons });
    for (const name of added ? names : []) tell(row.runId === null ? [] : [row.runId], name, 'a message');
    return added;
  };
  const addEvent: GuardedStore['events']['add'] = (runId, at, kind, detail) => {
    const { clean } = collect(secrets);
    const fields = Object.entries(detail).map(([name, value]) => [
      clean(name),
      typeof value === 'string' ? clean(value) : value,
    ]);
    return store.events.add(runId, at, kind, Object.fromEntries(fields));
  };
  const addTask: GuardedStore['tasks']['add'] = (task) => {
    const added = store.tasks.add(task);
    addHook(added);
    return added;
  };
  return {
    ...store,
    outbox: { ...store.outbox, add },
    events: { ...store.events, add: addEvent },
    tasks: { ...store.tasks, add: addTask },
    serviceTokens: {
      ...serviceTokens,
      put: known(addTokens, serviceTokens.put),
      renew: known(addTokens, serviceTokens.renew),
    },
    serviceClients: { ...serviceClients, put: known(addClient, serviceClients.put) },
    channelAuth: {
      of: (channel: string, now: () => number) => watchKeys(secrets, channel, store.channelAuth.of(channel, now)),
    },
  };
}

/** Cleans several texts and says whose secrets were in them. */
function collect(secrets: Secrets) {
  const names: string[] = [];
  const clean = (text: string): string => {
    const cleaned = secrets.clean(text);
    names.push(...cleaned.names);
    return cleaned.text;
  };
  return { clean, names };
}

/** What a channel keeps of its account for good, as it is read and written: keys of single conversations change all the time. */
function watchKeys(secrets: Secrets, channel: string, rows: ChannelRows): ChannelRows {
  const learn = (kind: string, value: string | null | undefined): void => {
    if (kind === 'creds' && value) for (const one of inJson(channel, value)) secrets.add(one.name, one.value);
  };
  learn('creds', rows.get('creds', ['creds']).creds);
  return {
    ...rows,
    set(changes) {
      for (const { kind, value } of changes) learn(kind, value);
      rows.set(changes);
    },
  };
}
