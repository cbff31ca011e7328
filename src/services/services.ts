// The services as they are at this moment: which a group has, and their credentials. The owner is told once what of the list is no use.
import type { Config, Env } from '../core/config.js';
import { readEnv } from '../core/config.js';
import type { LoopDeps } from '../core/deps.js';
import { shownLine } from '../core/one-line.js';
import {
  type Credential,
  credentialOf,
  type Problem,
  readServices,
  type Service,
  variablesOf,
  version,
} from './list.js';
import type { Store } from './store.js';

export interface ServicesDeps extends Pick<LoopDeps, 'log' | 'notifyOwner'> {
  store: Pick<Store, 'groups'>;
  config: Pick<Config, 'home' | 'groupsDir' | 'dataDir'>;
  environment: Env;
}

export type Services = ReturnType<typeof createServices>;

export function createServices({ store, config, environment, log, notifyOwner }: ServicesDeps) {
  let read: { version: string; services: Service[]; problems: Problem[]; env: Env } | undefined;
  /** Reads the files again when they changed. */
  function current() {
    const now = version(config);
    if (read?.version === now) return read;
    read = { version: now, ...readServices(config), env: readEnv(environment, config.home) };
    for (const { name, why } of read.problems) {
      log.warn({ service: name, why }, 'service not used');
      notifyOwner(`service:${now}:${name}:${why}`, notice(name, why));
    }
    return read;
  }
  const of = (groupId: number): Service[] => {
    const folder = store.groups.get(groupId)?.folder ?? '';
    return current().services.filter(({ groups }) => groups.includes(folder));
  };
  return {
    of,
    find: (groupId: number, name: string): Service | undefined => of(groupId).find((service) => service.name === name),
    /** Throws PinchError `no_credential`. */
    credential: (service: Service): Credential => credentialOf(service, current().env),
    list: () => {
      const { services, problems, env } = current();
      const variables = (service: Service) => variablesOf(service).map((name) => ({ name, set: Boolean(env[name]) }));
      return { services: services.map((service) => ({ ...service, variables: variables(service) })), problems };
    },
  };
}

const notice = (name: string, why: string): string =>
  `I cannot use ${name === 'services.json' ? 'your services' : `the service \`${shownLine(name, 60)}\``}: ${shownLine(why, 600)}\n\n` +
  'Everything else goes on. `npm run -s pinch -- service list` shows what there is; a change of services.json counts at once.';
