// What was done since yesterday evening, above the list of runs: how much, what it cost, what went wrong with the way out, what waits, what was
// written to memory, and the emergency stop.
import { z } from 'zod';
import { shortTime } from '../../core/times.js';
import { Action, Name, Time } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked } from '../view.js';

const t = texts.recap;
const MOST_FAILED = 5;
const MOST_FILES = 6;

/** As the API says it. */
export const recap = z.object({
  since: z.number(),
  sum: z.string(),
  runs: z.array(
    z.object({ id: z.number(), state: z.string(), what: z.string(), at: z.number(), why: z.string().nullable() }),
  ),
  missed: z.array(
    z.object({ taskId: z.number(), title: z.string(), slotAt: z.number(), count: z.number(), detail: z.string() }),
  ),
  approvalsOpen: z.number(),
  changed: z.array(z.object({ run: z.number(), files: z.array(z.string()) })),
});
type Found = z.infer<typeof recap>;
interface Props {
  recap: Found;
  asked: Asked;
}

export function Recap({ recap: found, asked }: Props) {
  const failed = found.runs.filter(({ state }) => state === 'dead');
  return (
    <section class="recap" aria-labelledby="recap">
      <h2 id="recap">{t.title(shortTime(found.since, asked.now, asked.deps.config.timeZone))}</h2>
      <p>{found.sum}.</p>
      {failed.slice(0, MOST_FAILED).map((run) => (
        <Failed run={run} asked={asked} />
      ))}
      {found.missed.length > 0 && <Missed recap={found} asked={asked} />}
      {found.changed.length > 0 && <Wrote recap={found} />}
      <div class="actions">
        {found.approvalsOpen > 0 && <a href="/approvals">{t.waits(found.approvalsOpen)}</a>}
        <Action call="POST /api/stop" body={{}} label={t.stop} confirm={t.stopSure} tone="danger" />
      </div>
    </section>
  );
}

const Failed = ({ run, asked }: { run: Found['runs'][number]; asked: Asked }) => (
  <div class="note bad recap-failed">
    <div>
      <p>
        <Time at={run.at} asked={asked} />{' '}
        <a href={`/runs/${run.id}`}>
          <Name of={run.what} />
        </a>
      </p>
      <p>
        <Name of={run.why ?? ''} max={240} />
      </p>
    </div>
    <Action call={`POST /api/runs/${run.id}/retry`} label={texts.run.retry} about={run.what} />
  </div>
);

const Missed = ({ recap: { missed }, asked }: Props) => (
  <ul>
    {missed.map(({ taskId, title, slotAt, count, detail }) => (
      <li>
        <Time at={slotAt} asked={asked} />{' '}
        <a href={`/tasks/${taskId}`}>
          <Name of={t.missed(count, title)} />
        </a>{' '}
        <span class="quiet">
          <Name of={detail} />
        </span>
      </li>
    ))}
  </ul>
);

const Wrote = ({ recap: { changed } }: { recap: Found }) => (
  <p>
    {t.wrote}{' '}
    {changed.slice(0, MOST_FILES).map(({ run, files }, index) => (
      <>
        {index > 0 && ', '}
        <Name of={files.join(', ')} max={100} /> (<a href={`/runs/${run}`}>{t.by(run)}</a>)
      </>
    ))}
    {'. '}
    <a href="/memory">{texts.memory.takeBack}</a>
  </p>
);
