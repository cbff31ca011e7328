// What the assistant remembers, group by group: its files, their versions with the run that made each, what changed, and the way back.
import { z } from 'zod';
import { oneLine } from '../../core/one-line.js';
import { visible } from '../../core/visible.js';
import { sizeText } from '../format.js';
import { Action, Badge, Facts, Field, Filter, Long, Name, Table, Time } from '../parts.js';
import { texts } from '../texts.js';
import { type Asked, numberOf, type Shown, type View } from '../view.js';
import { readUndo, TakeBack } from './take-back.js';

const t = texts.memory;

/** A version of a file, as the API shows it. */
const version = z.object({
  id: z.number(),
  at: z.number(),
  run: z.number().nullable(),
  size: z.number(),
  /** `run`, `outside` of runs, or `restore`. */
  by: z.string(),
  deleted: z.boolean(),
  /** False: too large, or no text. */
  kept: z.boolean(),
  /** What its writer had read and nobody trusted; whose secrets are in it. */
  sources: z.array(z.string()),
  secret: z.string().nullable(),
});
type Version = z.infer<typeof version>;
const journal = z.object({ files: z.array(z.object({ path: z.string(), versions: z.array(version) })) });
const oneVersion = version.extend({ path: z.string(), content: z.string().nullable(), diff: z.string() });

export const memoryView: View = {
  name: 'memory',
  topics: ['memory'],
  render: (asked) => (asked.id === undefined ? renderJournal(asked) : renderVersion(asked)),
};

async function renderJournal(asked: Asked): Promise<Shown> {
  const groups = asked.deps.store.groups.all();
  const folder = asked.query.group || (groups[0]?.folder ?? 'main');
  const undo = await readUndo(asked, folder);
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
        {undo && <TakeBack undo={undo} />}
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
    caption={`${t.versions}: ${oneLine(path, 200)}`}
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
      { name: t.by, cell: (one) => <By of={one} /> },
      { name: t.size, isNumber: true, cell: ({ size }) => sizeText(size) },
    ]}
  />
);

const By = ({ of: { run, by } }: { of: Version }) =>
  run === null ? <span class="quiet">{t.authors[by] ?? by}</span> : <a href={`/runs/${run}`}>{t.run(run)}</a>;

const What = ({ of: { by, deleted, kept, sources, secret } }: { of: Version }) => (
  <>
    {deleted ? <Badge state="failed" label={t.deleted} /> : <Badge state="done" label={kept ? t.kept : t.leftOut} />}{' '}
    {by === 'restore' && <Badge state="plain" label={t.restored} />}{' '}
    {sources.length > 0 && (
      <span class="note-inline wait">
        <bdi>{t.tainted(sources.map((source) => oneLine(source, 120)).join(', '))}</bdi>
      </span>
    )}{' '}
    {secret !== null && <span class="note-inline bad">{t.secret(secret)}</span>}
  </>
);

async function renderVersion(asked: Asked): Promise<Shown | undefined> {
  const id = numberOf(asked.id);
  const found = id === undefined ? undefined : await asked.read(`/api/memory/${id}`, oneVersion);
  if (!found) return undefined;
  return {
    title: t.title(found.path, found.id),
    body: (
      <>
        <Facts
          facts={[
            [t.what, <What of={found} />],
            [t.changed, <Time at={found.at} asked={asked} />],
            [t.by, <By of={found} />],
            [t.size, sizeText(found.size)],
          ]}
        />
        <div class="actions">
          <Action
            call={`POST /api/memory/${found.id}/restore`}
            label={t.restore}
            about={found.path}
            confirm={t.restoreSure}
            tone="primary"
          />
        </div>
        <section aria-labelledby="difference">
          <h2 id="difference">{t.difference}</h2>
          <Diff text={found.diff} />
        </section>
        <section aria-labelledby="content">
          <h2 id="content">{t.content}</h2>
          {found.content === null ? (
            <p class="quiet empty">{found.deleted ? t.isGone : t.leftOut}</p>
          ) : (
            <Long text={found.content} shown={4_000} />
          )}
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
            {visible(line)}
            {'\n'}
          </span>
        ))}
    </pre>
  );
}
