// What the assistant remembers, group by group: its files, their versions with the run that made each, what changed, and the way back.
import { z } from 'zod';
import { sizeText } from '../format.js';
import { Action, Badge, Facts, Field, Filter, Long, Name, Table, Time } from '../parts.js';
import { texts } from '../texts.js';
import { type Asked, numberOf, type Shown, type View } from '../view.js';

const t = texts.memory;

/** A version of a file, as the API shows it. */
const version = z.object({
  id: z.number(),
  path: z.string(),
  state: z.string(),
  bytes: z.number(),
  author: z.string().default('run'),
  runId: z.number().nullable().default(null),
  /** What its writer had read and nobody trusted; whose secrets are in it. */
  sources: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  at: z.number(),
});
type Version = z.infer<typeof version>;
const journal = z.object({
  files: z.array(z.object({ path: z.string(), versions: z.array(version) })),
});
const oneVersion = z.object({ version, text: z.string().nullable().default(null), diff: z.string().default('') });

export const memoryView: View = {
  name: 'memory',
  topics: ['memory'],
  render: (asked) => (asked.id === undefined ? renderJournal(asked) : renderVersion(asked)),
};

async function renderJournal(asked: Asked): Promise<Shown> {
  const groups = asked.deps.store.groups.all();
  const folder = asked.query.group || (groups[0]?.folder ?? 'main');
  const { files } = (await asked.read(`/api/memory?group=${encodeURIComponent(folder)}`, journal)) ?? { files: [] };
  return {
    body: (
      <>
        {groups.length > 1 && (
          <Filter>
            <Field
              label={t.group}
              name="group"
              value={folder}
              options={groups.map((group) => [group.folder, group.folder] as const)}
            />
          </Filter>
        )}
        {files.length === 0 && <p class="quiet empty">{t.none}</p>}
        {files.map(({ path, versions }) => (
          <section data-key={path}>
            <h2>
              <code>
                <Name of={path} max={200} />
              </code>
            </h2>
            <Versions versions={versions} path={path} asked={asked} />
          </section>
        ))}
      </>
    ),
  };
}

const Versions = ({ versions, path, asked }: { versions: Version[]; path: string; asked: Asked }) => (
  <Table
    caption={`${t.versions}: ${path}`}
    rows={versions}
    empty={t.none}
    keyOf={({ id }) => id}
    columns={[
      {
        name: t.version,
        cell: ({ id }) => (
          <a class="row-link" href={`/memory/${id}`}>
            {t.version} {id}
          </a>
        ),
      },
      { name: t.what, cell: (one) => <What of={one} /> },
      { name: t.changed, cell: ({ at }) => <Time at={at} asked={asked} /> },
      { name: t.by, cell: ({ runId, author }) => (runId === null ? author : <a href={`/runs/${runId}`}>{runId}</a>) },
      { name: t.size, isNumber: true, cell: ({ bytes }) => sizeText(bytes) },
    ]}
  />
);

const What = ({ of: { state, author, sources, secrets } }: { of: Version }) => (
  <>
    <Badge state={state} /> {author === 'restore' && <Badge state="restore" label={t.kinds.restored} />}{' '}
    {sources.length > 0 && (
      <span class="note-inline wait">{t.tainted(sources.map((source) => source.slice(0, 120)).join(', '))}</span>
    )}{' '}
    {secrets.length > 0 && <span class="note-inline bad">{t.secrets(secrets.join(', '))}</span>}
  </>
);

async function renderVersion(asked: Asked): Promise<Shown | undefined> {
  const id = numberOf(asked.id);
  const found = id === undefined ? undefined : await asked.read(`/api/memory/${id}`, oneVersion);
  if (!found) return undefined;
  const { version: one, text, diff } = found;
  return {
    title: t.title(one.path, one.id),
    body: (
      <>
        <Facts
          facts={[
            [t.what, <What of={one} />],
            [t.changed, <Time at={one.at} asked={asked} />],
            [t.by, one.runId === null ? one.author : <a href={`/runs/${one.runId}`}>{one.runId}</a>],
            [t.size, sizeText(one.bytes)],
          ]}
        />
        <div class="actions">
          <Action
            call={`POST /api/memory/${one.id}/restore`}
            label={t.restore}
            about={one.path}
            confirm={t.restoreSure}
            tone="primary"
          />
        </div>
        <section aria-labelledby="difference">
          <h2 id="difference">{t.difference}</h2>
          <Diff text={diff} />
        </section>
        <section aria-labelledby="content">
          <h2 id="content">{t.content}</h2>
          {text === null ? <p class="quiet empty">{t.isGone}</p> : <Long text={text} shown={4_000} />}
        </section>
      </>
    ),
  };
}

const MOST_LINES = 2_000;
const SIGNS: Record<string, string> = { '+': 'added', '-': 'removed', '@': 'place' };

function Diff({ text }: { text: string }) {
  if (text === '') return <p class="quiet empty">{t.same}</p>;
  return (
    <pre class="diff" tabindex={0}>
      {text
        .split('\n')
        .slice(0, MOST_LINES)
        .map((line) => (
          <span class={SIGNS[line[0] ?? '']}>
            <bdi>{line}</bdi>
            {'\n'}
          </span>
        ))}
    </pre>
  );
}
