// The runs: which there are, newest first, and one of them from its first message to its end.
import { runState } from '../../core/types.js';
import { lengthText } from '../format.js';
import type { ListedRun } from '../lists.js';
import { Field, Filter, Money, Name, Older, paged, StateBadge, Table, Time } from '../parts.js';
import { texts } from '../texts.js';
import { type Asked, numberOf, type View } from '../view.js';
import { Recap, recap } from './recap.js';
import { ReplayBadge } from './replay.js';
import { renderRun } from './run.js';

const t = texts.runs;
const SHOWN = 50;

export const runsView: View = {
  name: 'runs',
  topics: ['runs', 'approvals', 'memory'],
  async render(asked) {
    if (asked.id !== undefined) return await renderRun(asked);
    // Whoever filters looks for something else.
    const isFiltered = Object.values(asked.query).some((value) => value !== '');
    const found = isFiltered ? undefined : await asked.read('/api/recap', recap);
    return {
      body: (
        <>
          {found && <Recap recap={found} asked={asked} />}
          <Runs asked={asked} />
        </>
      ),
    };
  },
};

/** A name for a run: what it was told, or the task it is of. */
const titleOf = ({ prompt, taskTitle, text, kind }: ListedRun): string =>
  prompt ?? taskTitle ?? (text?.trim() || t.kinds[kind]);

function tookText({ startedAt, finishedAt, state }: ListedRun, now: number): string {
  if (startedAt === null) return '–';
  return lengthText((state === 'leased' ? now : (finishedAt ?? startedAt)) - startedAt);
}

function Runs({ asked }: { asked: Asked }) {
  const { query, deps } = asked;
  const { store } = deps;
  const groups = store.groups.all();
  const filter = {
    state: runState.safeParse(query.state).data,
    groupId: groups.find(({ folder }) => folder === query.group)?.id,
    taskId: numberOf(query.task),
    before: numberOf(query.before) ?? Number.MAX_SAFE_INTEGER,
  };
  const { shown, before } = paged(store.pageLists.runs(filter, SHOWN + 1), SHOWN);
  const states = runState.options.map((state) => [state, texts.runStates[state]] as const);
  return (
    <>
      {filter.taskId === undefined ? (
        <Filter>
          <Field label={t.state} name="state" value={query.state} options={[['', texts.parts.all], ...states]} />
          <Field
            label={t.group}
            name="group"
            value={query.group}
            options={[['', texts.parts.all], ...groups.map(({ folder }) => [folder, folder] as const)]}
          />
        </Filter>
      ) : (
        <p>
          <a href={`/tasks/${filter.taskId}`}>{t.ofTask(filter.taskId)}</a>
        </p>
      )}
      <RunTable runs={shown} asked={asked} />
      <Older query={query} before={before} />
    </>
  );
}

const RunTable = ({ runs, asked }: { runs: ListedRun[]; asked: Asked }) => (
  <Table
    caption={t.list}
    rows={runs}
    empty={t.none}
    keyOf={({ id }) => id}
    columns={[
      {
        name: t.run,
        cell: (run) => (
          <a class="row-link" href={`/runs/${run.id}`}>
            <span class="id">{run.id}</span> <Name of={titleOf(run)} /> <ReplayBadge {...run} />
          </a>
        ),
      },
      { name: t.state, cell: ({ state }) => <StateBadge state={state} /> },
      {
        name: t.where,
        cell: ({ folder, chatTitle }) => (
          <span class="quiet">
            {folder} · <Name of={chatTitle} max={40} />
          </span>
        ),
      },
      { name: t.began, cell: ({ startedAt, createdAt }) => <Time at={startedAt ?? createdAt} asked={asked} /> },
      { name: t.took, isNumber: true, cell: (run) => tookText(run, asked.now) },
      { name: t.calls, isNumber: true, cell: ({ calls }) => calls },
      { name: t.cost, isNumber: true, cell: ({ costMicroUsd }) => <Money of={costMicroUsd} /> },
    ]}
  />
);
