// Chats on the page of groups: who may ask in each, what it is shown of a run; those that were seen and belong to nobody.
import { oneLine } from '../../core/one-line.js';
import { type Chat, progressMode } from '../../core/types.js';
import { forumOf } from '../../groups/forums.js';
import { Action, Badge, Field, Name, Table, Time } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked } from '../view.js';

const t = texts.groups;
export const MOST_CHATS = 200;

export function Chats({ chats, folder, asked }: { chats: Chat[]; folder: string; asked: Asked }) {
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

export function Strangers({ asked, folders }: { asked: Asked; folders: string[] }) {
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
              cell: (chat) => <Register chat={chat} folders={folders} />,
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
