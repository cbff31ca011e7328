// One task: what it does and when, what became of its times, and what can be done with it.
import type { SlotView, Task } from '../../tasks/rows.js';
import { nextTimes, startsText } from '../../tasks/text.js';
import { Action, Badge, Facts, Field, Long, Name, Table, Time } from '../parts.js';
import { texts } from '../texts.js';
import { type Asked, numberOf, type Shown } from '../view.js';

const t = texts.tasks;
const SLOTS = 50;

/** Without the marks of our Markdown. */
export const plainStarts = (task: Task): string => startsText(task.starts).replaceAll('`', '');

export function renderTask(asked: Asked): Shown | undefined {
  const task = asked.deps.store.tasks.get(numberOf(asked.id) ?? 0);
  return task && { title: task.title, body: <OneTask task={task} asked={asked} /> };
}

function OneTask({ task, asked }: { task: Task; asked: Asked }) {
  const { store } = asked.deps;
  const { misfire, overlap, context } = task.options;
  const chat = store.groups.chat(task.chatId);
  return (
    <>
      <Facts
        facts={[
          [t.state, <Badge state={task.state} />],
          [t.when, plainStarts(task)],
          [t.next, nextTimes(task).join(' · ') || '–'],
          [t.chat, chat && <Name of={chat.title} />],
          [t.rules, t.rulesText(misfire, overlap, context)],
          [texts.runs.list, <a href={`/runs?task=${task.id}`}>{t.allRuns}</a>],
        ]}
      />
      {task.failures > 0 && <p class="note bad">{t.failures(task.failures)}</p>}
      {task.state !== 'cancelled' && <Actions task={task} />}
      <section aria-labelledby="prompt">
        <h2 id="prompt">{t.prompt}</h2>
        <Long text={task.prompt} shown={2_000} />
      </section>
      <section aria-labelledby="slots">
        <h2 id="slots">{t.slots}</h2>
        <Slots slots={store.tasks.slotsOf(task.id, SLOTS)} asked={asked} />
      </section>
      {task.state !== 'cancelled' && (
        <details class="more">
          <summary>{t.edit}</summary>
          <p class="quiet">{t.editHint}</p>
          <TaskForm call={`PATCH /api/tasks/${task.id}`} task={task} asked={asked} />
        </details>
      )}
    </>
  );
}

function Actions({ task: { id, state, title } }: { task: Task }) {
  const change = `PATCH /api/tasks/${id}`;
  return (
    <div class="actions">
      <Action call={`POST /api/tasks/${id}/run`} label={t.run} about={title} tone="primary" />
      {state === 'active' && <Action call={change} body={{ action: 'pause' }} label={t.pause} about={title} />}
      {state === 'paused' && <Action call={change} body={{ action: 'resume' }} label={t.resume} about={title} />}
      <Action
        call={change}
        body={{ action: 'cancel' }}
        label={t.cancel}
        about={title}
        confirm={t.cancelSure}
        tone="danger"
      />
    </div>
  );
}

const Slots = ({ slots, asked }: { slots: SlotView[]; asked: Asked }) => (
  <Table
    caption={t.slots}
    rows={slots}
    empty={t.noSlots}
    keyOf={({ slotAt }) => slotAt}
    columns={[
      { name: t.slot, cell: ({ slotAt }) => <Time at={slotAt} asked={asked} /> },
      {
        name: t.fate,
        cell: ({ state, count }) => (
          <>
            <Badge state={state} /> {count > 1 && <span class="quiet">{t.times(count)}</span>}
          </>
        ),
      },
      { name: t.ofRun, cell: ({ runId }) => (runId === null ? '–' : <a href={`/runs/${runId}`}>{runId}</a>) },
      { name: t.delivery, cell: ({ delivery }) => (delivery ? <Badge state={delivery} /> : '–') },
      { name: t.detail, cell: ({ detail }) => <Name of={detail} max={300} /> },
    ]}
  />
);

interface TaskFormProps {
  call: string;
  task?: Task;
  asked: Asked;
}

/** For a new task, or with `task` for changes of it: empty fields are not sent. */
export function TaskForm({ call, task, asked }: TaskFormProps) {
  const chats = asked.deps.store.groups.chats().filter(({ groupId }) => groupId !== null);
  const budget = task?.options.budgetMicroUsd;
  return (
    <Action call={call} label={task ? t.save : t.add} tone="primary" {...(!task && { go: '/tasks/{task.id}' })}>
      <Field label={t.prompt} name="prompt" value={task?.prompt} isLong isRequired />
      <Field label={t.name} name="title" value={task?.title} />
      <Field label={t.cron} name="cron" hint={t.cronHint} />
      <Field label={t.every} name="every" hint={t.everyHint} />
      <Field label={t.at} name="at" hint={t.atHint} />
      <Field label={t.zone} name="tz" hint={asked.deps.config.timeZone} />
      <Field
        label={t.to}
        name="chat"
        value={task?.chatId}
        options={chats.map(({ id, title, channel }) => [String(id), `${title.slice(0, 60)} (${channel})`] as const)}
      />
      <Field label={t.budget} name="budget" as="number" value={budget === undefined ? undefined : budget / 1e6} />
    </Action>
  );
}
