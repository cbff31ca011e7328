// What was spent: today, this month, day by day, by group, model and task; the limits and what is left of them.
import { z } from 'zod';
import { moneyText } from '../format.js';
import { Action, type Bar, Bars, Facts, Field, Name, Stripe, Table, Time } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked, View } from '../view.js';

const t = texts.costs;
const MOST_BARS = 15;

const sums = { calls: z.number(), costMicroUsd: z.number() };
const period = z.object({
  ...sums,
  rows: z.array(z.object({ group: z.string(), model: z.string(), ...sums })),
  tasks: z.array(z.object({ task: z.number().nullable(), title: z.string().nullable(), ...sums })),
});
const costs = z.object({
  today: period,
  thisMonth: period,
  last30Days: z.object({ from: z.string() }),
  days: z.array(z.object({ day: z.string(), ...sums })),
});
const cap = z.object({
  name: z.enum(['month', 'day', 'group']),
  group: z.string().optional(),
  limitMicroUsd: z.number(),
  spentMicroUsd: z.number(),
  leftMicroUsd: z.number(),
  endsAt: z.number().optional(),
});
const budgets = z.object({ run: z.object({ limitMicroUsd: z.number() }), caps: z.array(cap) });
type Costs = z.infer<typeof costs>;

export const costsView: View = {
  name: 'costs',
  topics: ['costs'],
  async render(asked) {
    const [spent, limits] = [await asked.read('/api/costs', costs), await asked.read('/api/budgets', budgets)];
    if (!spent || !limits) return undefined;
    return {
      body: (
        <>
          <Facts
            facts={[
              [t.today, amount(spent.today)],
              [t.month, amount(spent.thisMonth)],
            ]}
          />
          <section aria-labelledby="caps">
            <h2 id="caps">{t.caps}</h2>
            <Caps caps={limits.caps} asked={asked} />
            <p class="quiet">
              {t.capNames.run}: {moneyText(limits.run.limitMicroUsd)}
            </p>
            <SetCap asked={asked} />
          </section>
          <Days costs={spent} />
          <div class="columns">
            <Chart title={t.byGroup} bars={by(spent.thisMonth.rows, ({ group }) => group)} />
            <Chart title={t.byModel} bars={by(spent.thisMonth.rows, ({ model }) => model)} />
            <Chart title={t.byTask} bars={taskBars(spent)} />
          </div>
        </>
      ),
    };
  },
};

const amount = ({ costMicroUsd, calls }: { costMicroUsd: number; calls: number }) => (
  <>
    <strong class="figure">{moneyText(costMicroUsd)}</strong> <span class="quiet">{t.calls(calls)}</span>
  </>
);

const barOf = (label: Bar['label'], costMicroUsd: number): Bar => ({
  label,
  value: costMicroUsd,
  text: moneyText(costMicroUsd),
});

function by(rows: Costs['today']['rows'], keyOf: (row: Costs['today']['rows'][number]) => string): Bar[] {
  const totals = new Map<string, number>();
  for (const row of rows) totals.set(keyOf(row), (totals.get(keyOf(row)) ?? 0) + row.costMicroUsd);
  return [...totals].sort(([, a], [, b]) => b - a).map(([name, total]) => barOf(<Name of={name} max={40} />, total));
}

const taskBars = ({ thisMonth }: Costs): Bar[] =>
  thisMonth.tasks.map(({ task, title, costMicroUsd }) => {
    const name = <Name of={title ?? t.gone} max={40} />;
    return barOf(
      task === null ? t.noTask : title === null ? name : <a href={`/tasks/${task}`}>{name}</a>,
      costMicroUsd,
    );
  });

const Chart = ({ title, bars }: { title: string; bars: Bar[] }) => (
  <section>
    <h2>{title}</h2>
    <Bars caption={title} bars={bars.slice(0, MOST_BARS)} empty={t.none} />
  </section>
);

const [WIDTH, HEIGHT] = [10, 60];

/** Columns of thirty days; the figures are in the list below it. */
function Days({ costs: { days } }: { costs: Costs }) {
  const inOrder = [...days].sort((a, b) => (a.day < b.day ? -1 : 1)).slice(-31);
  const most = Math.max(...inOrder.map(({ costMicroUsd }) => costMicroUsd), 1);
  return (
    <section aria-labelledby="days">
      <h2 id="days">{t.days}</h2>
      {inOrder.length > 0 && (
        <svg class="days" viewBox={`0 0 ${31 * WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          {inOrder.map(({ costMicroUsd }, index) => {
            const height = Math.max(1, (costMicroUsd / most) * HEIGHT);
            const x = (31 - inOrder.length + index) * WIDTH;
            return <rect x={x + 1} y={HEIGHT - height} width={WIDTH - 2} height={height} rx="1" />;
          })}
        </svg>
      )}
      <details class="all" open={inOrder.length <= 7}>
        <summary>{t.dayByDay}</summary>
        <Bars
          caption={t.days}
          bars={[...inOrder].reverse().map(({ day, costMicroUsd }) => barOf(day, costMicroUsd))}
          empty={t.none}
        />
      </details>
    </section>
  );
}

const Caps = ({ caps, asked }: { caps: z.infer<typeof cap>[]; asked: Asked }) => (
  <Table
    caption={t.caps}
    rows={caps}
    empty=""
    columns={[
      { name: t.cap, cell: ({ name, group }) => `${t.capNames[name]}${group === undefined ? '' : ` ${group}`}` },
      {
        name: t.spent,
        cell: ({ spentMicroUsd, limitMicroUsd }) => {
          const share = limitMicroUsd > 0 ? spentMicroUsd / limitMicroUsd : 1;
          return (
            <span class="meter">
              <Stripe share={share} tone={share >= 1 ? 'bad' : share >= 0.8 ? 'wait' : ''} />
              {moneyText(spentMicroUsd)} / {moneyText(limitMicroUsd)}
            </span>
          );
        },
      },
      { name: t.left, isNumber: true, cell: ({ leftMicroUsd }) => moneyText(leftMicroUsd) },
      { name: t.until, cell: ({ endsAt }) => <Time at={endsAt} asked={asked} /> },
    ]}
  />
);

const SetCap = ({ asked }: { asked: Asked }) => (
  <details class="more">
    <summary>{t.change}</summary>
    <Action call="POST /api/budgets" label={t.set}>
      <Field label={t.which} name="name" value="day" options={Object.entries(t.capNames)} />
      <Field
        label={t.group}
        name="group"
        options={asked.deps.store.groups.all().map(({ folder }) => [folder, folder] as const)}
      />
      <Field label={t.amount} name="usd" as="number" orNull hint={t.amountHint} />
      <Field label={t.onlyToday} name="today" as="flag" />
    </Action>
  </details>
);
