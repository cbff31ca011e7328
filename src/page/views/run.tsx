// One run: what it was asked, everything that happened, what it cost, and what can be done with it.
import type { Child } from 'hono/jsx';
import { oneLine } from '../../core/one-line.js';
import { timeText } from '../../core/times.js';
import type { Run } from '../../core/types.js';
import { whatOf } from '../../runs/run-text.js';
import { clockTime, fullTime, lengthText, moneyText } from '../format.js';
import { Action, Facts, Long, Money, Name, StateBadge } from '../parts.js';
import { texts } from '../texts.js';
import { type Asked, numberOf, type Shown } from '../view.js';
import { ComparisonOf, ReplayForm, Replays } from './replay.js';
import { readUndo, TakeBack } from './take-back.js';
import { type Entry, timelineOf } from './timeline.js';

const t = texts.run;
/** Of a long timeline, the end. */
const SHOWN = 200;

export async function renderRun(asked: Asked): Promise<Shown | undefined> {
  const { store } = asked.deps;
  const run = store.runs.get(numberOf(asked.id) ?? 0);
  if (!run) return undefined;
  // Only of the last run that wrote there: what later ones wrote would go with it.
  const undo = await readUndo(asked, store.groups.get(run.groupId)?.folder ?? '');
  return {
    title: run.dry ? texts.replay.titleDry(run.id) : t.about(run.id, oneLine(whatOf(store, run, oneLine), 80)),
    body: <OneRun run={run} asked={asked} takeBack={undo?.run === run.id && <TakeBack undo={undo} />} />,
  };
}

function OneRun({ run, asked, takeBack }: { run: Run; asked: Asked; takeBack: Child }) {
  const entries = timelineOf(asked.deps.store, run);
  const hidden = asked.query.all ? 0 : Math.max(0, entries.length - SHOWN);
  return (
    <>
      <Summary run={run} asked={asked} />
      {run.error && (
        <section class="note bad" aria-label={t.failed}>
          <h2>{t.failed}</h2>
          <Long text={run.error} />
        </section>
      )}
      <Replays run={run} asked={asked} />
      <Waits runId={run.id} asked={asked} />
      <Actions run={run} model={modelOf(run, asked)} />
      {takeBack}
      <ComparisonOf run={run} asked={asked} />
      <section aria-labelledby="timeline">
        <h2 id="timeline">{t.timeline}</h2>
        {hidden > 0 && (
          <p>
            <a href="?all=1">{t.earlier(hidden)}</a>
          </p>
        )}
        {entries.length === 0 && <p class="quiet empty">{t.nothing}</p>}
        <ol class="timeline">
          {entries.slice(hidden).map((entry) => (
            <Line entry={entry} asked={asked} />
          ))}
        </ol>
      </section>
    </>
  );
}

/** What it would work with again. */
const modelOf = ({ groupId }: Run, { deps }: Asked): string => deps.store.groupModels.of(groupId) ?? deps.config.model;

function Summary({ run, asked }: { run: Run; asked: Asked }) {
  const { store } = asked.deps;
  const calls = store.usage.ofRun(run.id);
  const sum = (of: (call: (typeof calls)[number]) => number) => calls.reduce((total, call) => total + of(call), 0);
  const input = sum(
    (call) => call.inputTokens + call.cacheReadTokens + call.cacheWrite5mTokens + call.cacheWrite1hTokens,
  );
  const chat = store.groups.chat(run.chatId);
  const task = run.taskId === null ? undefined : store.tasks.get(run.taskId);
  const end = run.state === 'leased' ? asked.now : run.finishedAt;
  return (
    <Facts
      facts={[
        [texts.runs.state, <StateBadge state={run.state} />],
        [texts.runs.group, store.groups.get(run.groupId)?.folder],
        [t.chat, chat && <Name of={chat.title} />],
        [
          t.task,
          task && (
            <a href={`/tasks/${task.id}`}>
              <Name of={task.title} />
            </a>
          ),
        ],
        [t.created, timeText(run.createdAt, asked.deps.config.timeZone)],
        [t.duration, run.startedAt !== null && end !== null ? lengthText(end - run.startedAt) : undefined],
        [t.attempts, run.attempt],
        [t.cost, <Money of={sum((call) => call.costMicroUsd)} />],
        [
          t.tokens,
          t.tokensOf(
            input,
            sum((call) => call.outputTokens),
          ),
        ],
        [t.session, <code>{run.session}</code>],
      ]}
    />
  );
}

/** Approvals it asked for that nobody has answered. */
function Waits({ runId, asked }: { runId: number; asked: Asked }) {
  const { store } = asked.deps;
  const ids = store.events
    .ofRun(runId)
    .flatMap(({ kind, detail }) => (kind === 'approval_asked' ? [Number(detail.approval)] : []));
  const open = ids.filter((id) => store.approvals.get(id)?.state === 'open');
  if (open.length === 0) return null;
  return (
    <p class="note wait">
      {t.waits}{' '}
      {open.map((id) => (
        <a href="/approvals">{t.approval(id)}</a>
      ))}
    </p>
  );
}

function Actions({ run: { id, state }, model }: { run: Run; model: string }) {
  const isOpen = state === 'ready' || state === 'leased';
  const run = `/api/runs/${id}`;
  return (
    <div class="actions">
      {isOpen && (
        <Action call={`POST ${run}/stop`} label={t.stop} about={t.title(id)} confirm={t.stopSure} tone="danger" />
      )}
      {(state === 'dead' || state === 'cancelled') && (
        <Action call={`POST ${run}/retry`} label={t.retry} about={t.title(id)} tone="primary" />
      )}
      {!isOpen && <ReplayForm runId={id} model={model} />}
    </div>
  );
}

function Line({ entry, asked }: { entry: Entry; asked: Asked }) {
  const { timeZone } = asked.deps.config;
  return (
    <li class={`entry ${entry.tone ?? ''}`} data-key={entry.key}>
      <time datetime={new Date(entry.at).toISOString()} title={fullTime(entry.at, timeZone)}>
        {clockTime(entry.at, timeZone)}
      </time>
      <div class="entry-body">
        <p>
          <strong>{entry.title}</strong> {entry.name && <code>{entry.name}</code>}{' '}
          <span class="quiet">
            <bdi>{[...entry.facts, ...(entry.costMicroUsd ? [moneyText(entry.costMicroUsd)] : [])].join(' · ')}</bdi>
          </span>
          {entry.link && (
            <>
              {' '}
              <a href={entry.link}>{entry.link}</a>
            </>
          )}
        </p>
        {entry.texts.map(
          ([label, text]): Child => (
            <div class="said">
              {label && <span class="label">{label}</span>}
              <Long text={text} shown={400} />
            </div>
          ),
        )}
      </div>
    </li>
  );
}
