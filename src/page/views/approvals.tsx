// What waits for the owner's answer, all of it as the card says it, and what came of the last ones.
import { endOf } from '../../approvals/approvals.js';
import type { Approval } from '../../approvals/rows.js';
import { Action, Badge, Html, Name, Time } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked, View } from '../view.js';

const t = texts.approvals;
/** More can be open; they come up when these are answered. */
const OPEN = 50;
const DECIDED = 30;

export const approvalsView: View = {
  name: 'approvals',
  topics: ['approvals'],
  async render(asked) {
    const { store, markdownToSafeHtml } = asked.deps;
    const open = store.approvals.open(OPEN).map(async (approval) => ({
      approval,
      html: await markdownToSafeHtml(approval.detail),
      always: approval.always === null ? null : await markdownToSafeHtml(approval.always),
    }));
    const decided = store.approvals.decided(DECIDED).map(async (approval) => ({
      approval,
      html: await markdownToSafeHtml(endOf(approval)),
    }));
    const [cards, ends] = [await Promise.all(open), await Promise.all(decided)];
    return {
      body: (
        <>
          <section aria-labelledby="open">
            <h2 id="open">{t.open}</h2>
            {cards.length === 0 && <p class="quiet empty">{t.none}</p>}
            {cards.map((card) => (
              <Card {...card} asked={asked} />
            ))}
          </section>
          <section aria-labelledby="decided">
            <h2 id="decided">{t.decided}</h2>
            {ends.length === 0 && <p class="quiet empty">{t.noneDecided}</p>}
            <ul class="plain">
              {ends.map((end) => (
                <Decided {...end} asked={asked} />
              ))}
            </ul>
          </section>
        </>
      ),
    };
  },
};

interface CardProps {
  approval: Approval;
  html: string;
  always: string | null;
  asked: Asked;
}

function Card({
  approval: { id, subject, kind, groupId, runId, createdAt, expiresAt },
  html,
  always,
  asked,
}: CardProps) {
  const call = `POST /api/approvals/${id}`;
  const folder = groupId === null ? undefined : asked.deps.store.groups.get(groupId)?.folder;
  const answer = (label: string, body: object, tone?: 'primary') => (
    <Action call={call} label={label} about={t.about(id)} body={body} {...(tone && { tone })} />
  );
  return (
    <article class="card" data-key={id} aria-labelledby={`approval-${id}`}>
      <h3 id={`approval-${id}`}>
        <span class="id">{id}</span> <Name of={subject} max={300} />
      </h3>
      <p class="quiet">
        <Badge state="ask" label={kind} /> {folder && `${t.group} ${folder} · `}
        {runId !== null && (
          <>
            <a href={`/runs/${runId}`}>{`${t.run} ${runId}`}</a>
            {' · '}
          </>
        )}
        {t.asked} <Time at={createdAt} asked={asked} />
      </p>
      <Html html={html} />
      {always !== null && (
        <div class="quiet always">
          {t.alwaysMeans} <Html html={always} />
        </div>
      )}
      <div class="actions">
        {answer(t.yes, { decision: 'allow' }, 'primary')}
        {always !== null && answer(t.always, { decision: 'allow', scope: 'always' })}
        {answer(t.no, { decision: 'deny' })}
      </div>
      <p class="quiet">
        {t.until} <Time at={expiresAt} asked={asked} />.
      </p>
    </article>
  );
}

type DecidedProps = { approval: Omit<Approval, 'detail' | 'input'>; html: string; asked: Asked };

const Decided = ({ approval: { id, subject, state, runId, decidedBy, decidedAt }, html, asked }: DecidedProps) => (
  <li data-key={id}>
    <Badge state={state} /> <span class="id">{id}</span> <Name of={subject} max={300} />
    <Html html={html} />
    <p class="quiet">
      <Time at={decidedAt} asked={asked} /> {decidedBy && t.by(decidedBy)}
      {runId !== null && (
        <>
          {' · '}
          <a href={`/runs/${runId}`}>{`${t.run} ${runId}`}</a>
        </>
      )}
    </p>
  </li>
);
