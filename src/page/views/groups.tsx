// Groups and chats: who may ask where, what each group reaches, its folders and services; chats that were seen and belong to nobody.
import { z } from 'zod';
import { oneLine } from '../../core/one-line.js';
import { type Chat, progressMode } from '../../core/types.js';
import { forumOf } from '../../groups/forums.js';
import { EVERY_GROUP } from '../../runs/pauses.js';
import { Action, Badge, Field, Name, Table, Time } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked, View } from '../view.js';

const t = texts.groups;
const MOST_CHATS = 200;

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
          <Strangers asked={asked} all={all} />
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

function Chats({ chats, folder, asked }: { chats: Chat[]; folder: string; asked: Asked }) {
  if (chats.length === 0) return <p class="quiet">{t.noChats}</p>;
  const held = new Set(asked.deps.store.budgets.heldChats().map(({ chatId }) => chatId));
  return (
    <ul class="plain rows">
      {chats.map((chat) => (
        <li data-key={chat.id}>
          <Name of={chat.title} /> <span class="quiet">{`${chat.channel}:${chat.address}`}</span>{' '}
          {held.has(chat.id) && (
            <>
              <Badge state="waiting" label={t.held} />
              <Action call={`POST /api/chats/${chat.id}/continue`} label={t.go} about={chat.title} />
            </>
          )}
          {chat.kind === 'group' && (
            <details class="more">
              <summary>
                {t.senders}: {chat.sendersPolicy === 'all' ? t.sendersAll : t.sendersListed}
              </summary>
              <Action call={`POST /api/chats/${chat.id}/register`} label={t.save} about={chat.title} body={{ folder }}>
                <SenderFields chat={chat} />
              </Action>
            </details>
          )}
          <details class="more">
            <summary>
              {t.progress}: {chat.progress}
            </summary>
            <Action call={`PATCH /api/chats/${chat.id}`} label={t.save} about={`${t.progress}, ${chat.title}`}>
              <Field
                label={t.progress}
                name="progress"
                value={chat.progress}
                options={progressMode.options.map((mode) => [mode, t.progressModes[mode]] as const)}
              />
            </Action>
          </details>
        </li>
      ))}
    </ul>
  );
}

const SenderFields = ({ chat }: { chat: Chat }) => (
  <>
    <Field
      label={t.senders}
      name="senders"
      value={chat.sendersPolicy}
      options={[
        ['all', t.sendersAll],
        ['listed', t.sendersListed],
      ]}
    />
    <Field label={t.listed} name="listed" as="list" value={chat.listedSenders.join('\n')} isLong hint={t.listedHint} />
  </>
);

function Strangers({ asked, all }: { asked: Asked; all: All }) {
  const chats = asked.deps.store.groups.strangers(MOST_CHATS);
  return (
    <section aria-labelledby="strangers">
      <h2 id="strangers">{t.strangers}</h2>
      <p class="quiet">{chats.length > 0 ? t.strangersHint : t.noStrangers}</p>
      {chats.length > 0 && (
        <Table
          caption={t.strangers}
          rows={chats}
          empty=""
          keyOf={({ id }) => id}
          columns={[
            { name: t.chat, cell: ({ title }) => <Name of={title} /> },
            { name: t.channel, cell: ({ channel, address }) => `${channel}:${address}` },
            { name: t.seen, cell: ({ lastSeenAt }) => <Time at={lastSeenAt} asked={asked} /> },
            {
              name: t.register,
              cell: (chat) => <Register chat={chat} folders={all.groups.map(({ folder }) => folder)} />,
            },
          ]}
        />
      )}
    </section>
  );
}

const Register = ({ chat, folders }: { chat: Chat; folders: string[] }) => (
  <details class="more">
    <summary aria-label={`${t.register}: ${oneLine(chat.title, 120)}`}>{t.register}</summary>
    <Action call={`POST /api/chats/${chat.id}/register`} label={t.register} about={chat.title} tone="primary">
      <Field label={t.folder} name="folder" isRequired hint={folders.join(', ')} />
      <SenderFields chat={chat} />
      {forumOf(chat.address) !== chat.address && <Field label={t.forum} name="forum" as="flag" />}
    </Action>
  </details>
);
