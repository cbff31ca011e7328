// A run again: the form that begins it, which runs repeat which, and what the two did beside each other.
import type { Child } from 'hono/jsx';
import type { Run } from '../../core/types.js';
import { type Act, type Comparison, pairs, type Side } from '../../runs/compare.js';
import { comparisonOf } from '../../runs/replay.js';
import { lengthText, moneyText } from '../format.js';
import { Action, Badge, Field, Long, Name, StateBadge, Table } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked } from '../view.js';

const t = texts.replay;

/** In lists and titles: what is none of the ordinary runs. */
export const ReplayBadge = ({ replayOf, dry }: Pick<Run, 'replayOf' | 'dry'>) =>
  replayOf === null ? null : <Badge state={dry ? 'dry' : 'plain'} label={dry ? t.dry : t.again} />;

/** The API says what it takes, and the new run is shown. */
export const ReplayForm = ({ runId, model }: { runId: number; model: string }) => (
  <details class="more">
    <summary>{t.replay}</summary>
    <p class="quiet">{t.hint}</p>
    <Action call={`POST /api/runs/${runId}/replay`} label={t.begin} go="/runs/{run.id}">
      <Field label={t.model} name="model" hint={t.modelHint(model)} />
      <Field label={t.dryField} name="dry" as="flag" />
      <Field label={t.prompt} name="prompt" isLong hint={t.promptHint} />
    </Action>
  </details>
);

const RunLink = ({ id, dry = false }: { id: number; dry?: boolean }) => (
  <>
    <a href={`/runs/${id}`}>{texts.run.title(id)}</a> {dry && <Badge state="dry" label={t.dry} />}
  </>
);

/** Which run this one repeats, and how; and which ones repeat it. */
export function Replays({ run, asked }: { run: Run; asked: Asked }) {
  const repeats = asked.deps.store.pageLists.replaysOf(run.id);
  const { replayOf, dry, model, prompt } = run;
  return (
    <>
      {replayOf !== null && (
        <section class={`note ${dry ? 'dry' : 'calm'}`} aria-label={t.replay}>
          <strong>{dry ? t.isDry : t.isAgain}</strong> {t.of} <RunLink id={replayOf} />
          {model && (
            <>
              {t.withModel} <code>{model}</code>
            </>
          )}
          {prompt !== null && <p class="said">{t.withPrompt}</p>}
          {prompt !== null && <Long text={prompt} shown={400} />}
        </section>
      )}
      {repeats.length > 0 && (
        <p>
          {t.repeatedBy}{' '}
          {repeats.map((one) => (
            <RunLink id={one.id} dry={one.dry} />
          ))}
        </p>
      )}
    </>
  );
}

/** Once a replay is over: what the first run did, and what this one did or would have done. */
export function ComparisonOf({ run, asked }: { run: Run; asked: Asked }) {
  const isOver = run.state !== 'ready' && run.state !== 'leased';
  const comparison = isOver ? comparisonOf(asked.deps.store, run) : undefined;
  if (!comparison) return null;
  const { of, dry, original, did, would } = comparison;
  return (
    <section aria-labelledby="comparison">
      <h2 id="comparison">{t.comparison}</h2>
      {dry && <p class="quiet">{t.nothingLeft}</p>}
      {!original && <p class="note wait">{t.gone(of)}</p>}
      <Table
        caption={t.figures}
        rows={sides(comparison)}
        empty=""
        isEven
        columns={[
          { name: t.figure, cell: ([name]) => name },
          { name: texts.run.title(of), cell: ([, first]) => first },
          { name: dry ? texts.replay.titleDry(run.id) : texts.run.title(run.id), cell: ([, , second]) => second },
        ]}
      />
      <h3>{t.effects}</h3>
      <Table
        caption={t.effects}
        rows={pairs(did, would)}
        empty={t.noEffects}
        isEven
        columns={[
          { name: t.what, cell: ([first, second]) => <What act={first ?? second} /> },
          { name: t.did(of), cell: ([first]) => <Done act={first} /> },
          {
            name: dry ? t.would(run.id) : t.did(run.id),
            cell: ([first, second]) => (isSame(first, second) ? t.same : <Done act={second} />),
          },
        ]}
      />
    </section>
  );
}

function sides({ original, replay }: Comparison) {
  const row = (name: string, of: (side: Side) => Child): [name: string, first: Child, second: Child] => [
    name,
    original ? of(original) : t.nothing,
    of(replay),
  ];
  return [
    row(texts.runs.state, ({ state }) => <StateBadge state={state} />),
    row(t.model, ({ models }) => <Name of={models.join(', ') || t.nothing} />),
    row(texts.runs.cost, ({ costMicroUsd }) => moneyText(costMicroUsd)),
    row(texts.runs.took, ({ durationMs }) => (durationMs === null ? t.nothing : lengthText(durationMs))),
    row(texts.runs.calls, ({ modelCalls }) => modelCalls),
  ];
}

const What = ({ act: { what, about } = { what: '', about: '' } }: { act: Pick<Act, 'what' | 'about'> | undefined }) => (
  <>
    <strong>{what}</strong> <Name of={about} max={200} />
  </>
);

const isSame = (first: Act | undefined, second: Act | undefined): boolean =>
  first?.text !== undefined && first.text === second?.text;

const Done = ({ act }: { act: Act | undefined }) =>
  act ? act.text ? <Long text={act.text} shown={400} /> : <span>{t.yes}</span> : <span class="quiet">{t.not}</span>;
