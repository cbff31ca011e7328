// Tasks: when they come next, which there are, and a form for a new one. One of them is in task.tsx.
import { dayName } from '../../core/day.js';
import { shortTime } from '../../core/times.js';
import { isTimed, type Task } from '../../tasks/rows.js';
import { nextSlots } from '../../tasks/schedule.js';
import { nextTimes } from '../../tasks/text.js';
import { dayText } from '../format.js';
import { Badge, Money, Name, Table, Time } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked, View } from '../view.js';
import { plainStarts, renderTask, TaskForm } from './task.js';

const t = texts.tasks;
const DAYS = 7;
const DAY_MS = 86_400_000;
const MAX_TIMES = 400;
const MAX_LISTED = 100;

export const tasksView: View = {
  name: 'tasks',
  topics: ['tasks'],
  render: (asked) => (asked.id === undefined ? { body: <Tasks asked={asked} /> } : renderTask(asked)),
};

function Tasks({ asked }: { asked: Asked }) {
  const tasks = asked.deps.store.tasks.next(null, MAX_LISTED);
  const more = asked.deps.store.tasks.openCount(null) - tasks.length;
  return (
    <>
      <section aria-labelledby="calendar">
        <h2 id="calendar">{t.calendar}</h2>
        <Calendar tasks={tasks} asked={asked} />
      </section>
      <section aria-labelledby="list">
        <h2 id="list">{t.list}</h2>
        <TaskTable tasks={tasks} asked={asked} />
        {more > 0 && <p class="quiet">{t.more(more)}</p>}
      </section>
      <details class="more">
        <summary>{t.create}</summary>
        <TaskForm call="POST /api/tasks" asked={asked} />
      </details>
    </>
  );
}

interface Planned {
  day: string;
  at: number;
  task: Task;
}

/** Every time within the next days that a clock starts something, in order. */
function plannedTimes(tasks: Task[], now: number, timeZone: string): Planned[] {
  const planned = tasks.flatMap((task) => {
    const { starts, state, nextAt } = task;
    if (state !== 'active' || nextAt === null || !isTimed(starts)) return [];
    const times = [nextAt, ...nextSlots(starts, nextAt, MAX_TIMES)].filter((at) => at < now + DAYS * DAY_MS);
    return times.map((at) => ({ day: dayName(at, timeZone), at, task }));
  });
  return planned.sort((a, b) => a.at - b.at);
}

function Calendar({ tasks, asked }: { tasks: Task[]; asked: Asked }) {
  const { now, deps } = asked;
  const { timeZone } = deps.config;
  const planned = plannedTimes(tasks, now, timeZone);
  const days = Array.from({ length: DAYS }, (_, index) => now + index * DAY_MS);
  if (planned.length === 0) return <p class="quiet empty">{t.nothingPlanned}</p>;
  return (
    <ol class="calendar">
      {days.map((at) => (
        <li>
          <h3>{dayText(at, timeZone)}</h3>
          <Day planned={planned.filter(({ day }) => day === dayName(at, timeZone))} asked={asked} />
        </li>
      ))}
    </ol>
  );
}

/** A task that comes often stands there once, with how often. */
function Day({ planned, asked }: { planned: Planned[]; asked: Asked }) {
  const { timeZone } = asked.deps.config;
  const first = planned.filter(({ task }, index) => planned.findIndex((other) => other.task === task) === index);
  return (
    <ul>
      {first.map(({ at, task }) => {
        const times = planned.filter((other) => other.task === task).length;
        return (
          <li>
            <time datetime={new Date(at).toISOString()}>{shortTime(at, at, timeZone)}</time>{' '}
            <a href={`/tasks/${task.id}`}>
              <Name of={task.title} max={60} />
            </a>{' '}
            {times > 1 && <span class="quiet">{t.times(times)}</span>}
          </li>
        );
      })}
      {planned.length === 0 && <li class="quiet">–</li>}
    </ul>
  );
}

function TaskTable({ tasks, asked }: { tasks: Task[]; asked: Asked }) {
  const { store, config } = asked.deps;
  const today = dayName(asked.now, config.timeZone);
  return (
    <Table
      caption={t.list}
      rows={tasks}
      empty={t.none}
      keyOf={({ id }) => id}
      columns={[
        {
          name: t.task,
          cell: ({ id, title }) => (
            <a class="row-link" href={`/tasks/${id}`}>
              <span class="id">{id}</span> <Name of={title} />
            </a>
          ),
        },
        { name: t.state, cell: ({ state }) => <Badge state={state} /> },
        { name: t.when, cell: (task) => plainStarts(task) },
        { name: t.next, cell: (task) => (nextTimes(task).length > 0 ? <Time at={task.nextAt} asked={asked} /> : '–') },
        {
          name: t.last,
          cell: ({ id }) => {
            const [slot] = store.tasks.slotsOf(id, 1);
            return slot ? <Badge state={slot.state} /> : '–';
          },
        },
        { name: t.cost, isNumber: true, cell: ({ id }) => <Money of={store.usage.spentByTask(id, today)} /> },
      ]}
    />
  );
}
