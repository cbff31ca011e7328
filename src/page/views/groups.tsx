// Groups: their chats (chats.tsx), what each reaches, its model, folders and services.
import { z } from 'zod';
import { EVERY_GROUP } from '../../runs/pauses.js';
import { Action, Badge, Field, Name } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked, View } from '../view.js';
import { Chats, MOST_CHATS, Strangers } from './chats.js';

const t = texts.groups;

const group = z.object({
  id: z.number(),
  folder: z.string(),
  isMain: z.boolean(),
  egressMode: z.string().nullable(),
  taint: z.string(),
  model: z.string().nullish(),
  pausedAt: z.number().nullish(),
});
const rule = z.object({
  id: z.number(),
  host: z.string(),
  ports: z.array(z.number()).nullish(),
  address: z.string().nullish(),
  until: z.number().nullish(),
  group: z.string().nullish(),
});
const server = z.object({ state: z.string().optional(), lastError: z.string().nullish() });
const service = server.extend({
  name: z.string(),
  kind: z.string(),
  groups: z.array(z.string()),
  /** Of one that is reached over HTTP and is an MCP server. */
  server: server.optional(),
});
const mount = z.object({ name: z.string(), path: z.string(), rw: z.boolean(), groups: z.array(z.string()) });
const shapes = {
  groups: z.object({ groups: z.array(group) }),
  egress: z.object({ rules: z.array(rule), modes: z.record(z.string(), z.string()), presets: z.array(z.string()) }),
  services: z.object({ services: z.array(service) }),
  mounts: z.object({ mounts: z.array(mount) }),
};
type Group = z.infer<typeof group>;
type Rule = z.infer<typeof rule>;

async function readAll({ read }: Asked) {
  const [groups, egress, services, mounts] = await Promise.all([
    read('/api/groups', shapes.groups),
    read('/api/egress', shapes.egress),
    read('/api/services', shapes.services),
    read('/api/mounts', shapes.mounts),
  ]);
  return {
    groups: groups?.groups ?? [],
    egress: egress ?? { rules: [], modes: {}, presets: [] },
    services: services?.services ?? [],
    mounts: mounts?.mounts ?? [],
  };
}
type All = Awaited<ReturnType<typeof readAll>>;

const isAllPaused = ({ deps }: Asked): boolean => deps.store.pauses.of(EVERY_GROUP) !== undefined;

export const groupsView: View = {
  name: 'groups',
  topics: ['health'],
  async render(asked) {
    const all = await readAll(asked);
    return {
      body: (
        <>
          {all.groups.map((one) => (
            <GroupSection group={one} all={all} asked={asked} />
          ))}
          <section class="card" aria-labelledby="every">
            <h2 id="every">{t.everyGroup}</h2>
            <Pause id="all" isPaused={isAllPaused(asked)} about={t.everyGroup} />
            <Rules rules={all.egress.rules.filter((one) => !one.group)} />
            <AllowForm presets={all.egress.presets} />
          </section>
          <Strangers asked={asked} folders={all.groups.map(({ folder }) => folder)} />
        </>
      ),
    };
  },
};

interface GroupProps {
  group: Group;
  all: All;
  asked: Asked;
}

function GroupSection({ group: one, all, asked }: GroupProps) {
  const { store, config, status } = asked.deps;
  const parked = status().groups.find(({ folder }) => folder === one.folder)?.parked;
  const title = `group-${one.id}`;
  return (
    <section class="card" data-key={title} aria-labelledby={title}>
      <h2 id={title}>
        {one.folder} {one.isMain && <Badge state="plain" label={t.main} />}{' '}
        {parked && <Badge state="waiting" label={t.parked(parked)} />}{' '}
        {one.pausedAt && <Badge state="paused" label={t.paused} />}
      </h2>
      <Pause id={one.id} isPaused={Boolean(one.pausedAt)} about={one.folder} />
      <Action call={`PATCH /api/groups/${one.id}`} label={t.set} about={`${t.model}, ${one.folder}`}>
        <Field label={t.model} name="model" value={one.model ?? ''} orNull hint={t.modelHint(config.model)} />
      </Action>
      <h3>{t.chats}</h3>
      <Chats chats={store.groups.chatsOf(one.id).slice(0, MOST_CHATS)} folder={one.folder} asked={asked} />
      <h3>{t.reach}</h3>
      <Reach group={one} modeNow={all.egress.modes[one.folder] ?? config.egressMode} />
      <Rules rules={all.egress.rules.filter(({ group: of }) => of === one.folder)} />
      <AllowForm presets={all.egress.presets} folder={one.folder} />
      <h3>{t.services}</h3>
      <Services
        services={all.services
          .filter(({ groups }) => groups.includes(one.folder))
          .map((of) => ({ ...of, ...of.server }))}
      />
      <h3>{t.mounts}</h3>
      <Mounts mounts={all.mounts.filter(({ groups }) => groups.includes(one.folder))} />
    </section>
  );
}

/** What works goes on to its end; nothing new is begun. */
const Pause = ({ id, isPaused, about }: { id: number | 'all'; isPaused: boolean; about: string }) => (
  <div class="actions">
    <Action
      call={`POST /api/groups/${id}/${isPaused ? 'resume' : 'pause'}`}
      label={isPaused ? texts.tasks.resume : texts.tasks.pause}
      about={about}
    />
  </div>
);

function Services({ services }: { services: z.infer<typeof service>[] }) {
  return (
    <>
      <ul class="plain rows">
        {services.map(({ name, kind, state, lastError }) => (
          <li data-key={name}>
            <strong>{name}</strong> <span class="quiet">{kind}</span> {state && <Badge state={state} />}
            {lastError && <Name of={lastError} max={300} />}
            <span class="action">
              <Action call={`POST /api/services/${name}/test`} label={t.test} about={name} />{' '}
              {state && <Action call={`POST /api/services/${name}/restart`} label={t.restart} about={name} />}
            </span>
          </li>
        ))}
      </ul>
      <p class="quiet">{services.length > 0 ? t.servicesHint : `${t.nothing} ${t.servicesHint}`}</p>
    </>
  );
}

/** Which folders there are is said outside of everything that a browser or a container can reach. */
function Mounts({ mounts }: { mounts: z.infer<typeof mount>[] }) {
  return (
    <>
      <ul class="plain rows">
        {mounts.map(({ name, path, rw }) => (
          <li data-key={name}>
            <strong>{name}</strong> <Name of={path} max={300} /> <Badge state="" label={rw ? t.writable : t.readOnly} />
          </li>
        ))}
      </ul>
      <p class="quiet">{mounts.length > 0 ? t.mountsHint : `${t.nothing} ${t.mountsHint}`}</p>
    </>
  );
}

const Reach = ({ group: { id, folder, egressMode, taint }, modeNow }: { group: Group; modeNow: string }) => (
  <Action call={`PATCH /api/groups/${id}`} label={t.set} about={folder}>
    <Field
      label={t.mode}
      name="egress"
      value={egressMode ?? ''}
      orNull
      options={[['', t.asSettings(modeNow)], ...Object.entries(t.modes)]}
    />
    <Field
      label={t.taint}
      name="taint"
      value={taint}
      options={[
        ['on', t.taintOn],
        ['off', t.taintOff],
      ]}
    />
  </Action>
);

function Rules({ rules }: { rules: Rule[] }) {
  if (rules.length === 0) return <p class="quiet">{t.noRules}</p>;
  return (
    <ul class="plain rows">
      {rules.map(({ id, host, ports, address, until }) => (
        <li data-key={id}>
          <code>
            <Name of={host} max={260} />
          </code>{' '}
          <span class="quiet">
            {[ports ? t.ports(ports.join(', ')) : '', address ? t.at(address) : '', until ? t.hour : '']
              .filter(Boolean)
              .join(', ')}
          </span>
          <Action call={`DELETE /api/egress/${id}`} label={t.remove} about={host} />
        </li>
      ))}
    </ul>
  );
}

const AllowForm = ({ presets, folder }: { presets: string[]; folder?: string }) => (
  <Action
    call="POST /api/egress"
    label={t.allow}
    about={folder ?? t.everyGroup}
    {...(folder !== undefined && { body: { group: folder } })}
  >
    <Field label={t.host} name="host" isRequired hint={`${t.hostHint}: ${presets.join(', ')}`} />
    <details class="more">
      <summary>{t.portsAndAddress}</summary>
      <Field label={t.portsField} name="ports" as="numbers" hint={t.portsHint} />
      <Field label={t.address} name="address" hint={t.addressHint} />
    </details>
  </Action>
);
