// Whether all is well: what runs now, what the doctor finds, channels, containers, disk, backups, and the log.
import { z } from 'zod';
import { visible } from '../../core/visible.js';
import { countText, sizeText } from '../format.js';
import { Action, Badge, Facts, Field, Filter, Name, Stripe, Table, Time } from '../parts.js';
import { texts } from '../texts.js';
import type { Asked, View } from '../view.js';

const t = texts.health;
const LINES = 100;

const examination = z.object({
  isLooking: z.boolean(),
  lookedAt: z.number().nullable(),
  problem: z.string().nullable(),
  findings: z.array(
    z.object({
      check: z.string(),
      state: z.enum(['ok', 'warning', 'failure', 'skipped']),
      detail: z.string(),
      fix: z.string().optional(),
    }),
  ),
});
const machine = z.object({
  disk: z.object({ freeBytes: z.number(), totalBytes: z.number() }),
  databaseBytes: z.number(),
  backups: z.array(z.object({ name: z.string(), bytes: z.number().optional(), at: z.number().optional() })),
  containers: z.array(z.object({ group: z.string(), memoryBytes: z.number().nullable() })),
});
const logs = z.object({
  lines: z
    .array(z.object({ at: z.number().nullable(), level: z.number(), message: z.string(), fields: z.string() }))
    .nullable(),
});

export const healthView: View = {
  name: 'health',
  topics: ['health'],
  async render(asked) {
    const text = encodeURIComponent(asked.query.text ?? '');
    const [found, facts, log] = await Promise.all([
      asked.read('/api/doctor', examination),
      asked.read('/api/machine', machine),
      asked.read(`/api/logs?last=${LINES}&text=${text}`, logs),
    ]);
    return {
      body: (
        <>
          <Now asked={asked} />
          {found && <Doctor of={found} asked={asked} />}
          <Channels asked={asked} />
          <Containers asked={asked} memory={facts?.containers ?? []} />
          {facts && <Disk of={facts} asked={asked} />}
          <Log lines={log?.lines ?? null} asked={asked} />
        </>
      ),
    };
  },
};

function Now({ asked }: { asked: Asked }) {
  const status = asked.deps.status();
  const { runs, engine, outage, lastEnd } = status;
  return (
    <section aria-labelledby="now">
      <h2 id="now">{t.now}</h2>
      <Facts
        facts={[
          [t.version, status.version],
          [t.up, <Time at={status.startedAt} asked={asked} />],
          [t.lastEnd, lastEnd ? <Name of={lastEnd} max={400} /> : undefined],
          [
            t.engine,
            <>
              <Badge state={engine.state} /> <Name of={engine.detail} max={200} />
            </>,
          ],
          [t.model, status.backend === 'demo' ? t.demo : <Name of={status.model} />],
          [
            outage ? t.model : '',
            outage ? <span class="note-inline bad">{`${outage.server}: ${outage.why}`}</span> : undefined,
          ],
          [t.queue, t.queueText(runs.leased ?? 0, runs.ready ?? 0, runs.dead ?? 0)],
          [t.outbox, countText(status.outboxQueued)],
        ]}
      />
      {!status.stopped && (
        <div class="actions">
          <Action call="POST /api/stop" label={t.stop} confirm={t.stopSure} tone="danger" />
        </div>
      )}
    </section>
  );
}

function Doctor({ of, asked }: { of: z.infer<typeof examination>; asked: Asked }) {
  const order = { failure: 0, warning: 1, ok: 2, skipped: 3 };
  const findings = [...of.findings].sort((a, b) => order[a.state] - order[b.state]);
  return (
    <section aria-labelledby="doctor">
      <h2 id="doctor">{t.doctor}</h2>
      <div class="actions">
        {of.isLooking ? <p class="quiet">{t.looking}</p> : <Action call="POST /api/doctor" label={t.look} />}
        {of.lookedAt !== null && (
          <p class="quiet">
            {t.lookedAt} <Time at={of.lookedAt} asked={asked} />
          </p>
        )}
      </div>
      {of.problem && (
        <p class="note bad">
          {t.notLooked} <bdi>{of.problem}</bdi>
        </p>
      )}
      {findings.length > 0 && (
        <Table
          caption={t.findings}
          rows={findings}
          empty=""
          columns={[
            { name: t.finding, cell: ({ check }) => check },
            { name: t.state, cell: ({ state }) => <Badge state={state} label={t.states[state]} /> },
            {
              name: t.detail,
              cell: ({ detail, fix }) => (
                <>
                  <bdi>{visible(detail)}</bdi>
                  {fix && <div class="fix">→ {visible(fix)}</div>}
                </>
              ),
            },
          ]}
        />
      )}
    </section>
  );
}

const Channels = ({ asked }: { asked: Asked }) => (
  <section aria-labelledby="channels">
    <h2 id="channels">{t.channels}</h2>
    <ul class="plain rows">
      {asked.deps.status().channels.map(({ name, state, detail, link, qrImage }) => (
        <li data-key={name}>
          <strong>{name}</strong> <Badge state={state} /> <Name of={detail} max={300} />
          {link?.code && <code class="code">{link.code}</code>}
          {qrImage && <img class="qr" src={qrImage} alt={t.qr(name)} />}
        </li>
      ))}
    </ul>
  </section>
);

function Containers({ asked, memory }: { asked: Asked; memory: z.infer<typeof machine>['containers'] }) {
  const { containers, servers } = asked.deps.status();
  const bytesOf = (group: string) => memory.find((one) => one.group === group)?.memoryBytes ?? null;
  return (
    <section aria-labelledby="containers">
      <h2 id="containers">{t.containers}</h2>
      <Table
        caption={t.containers}
        rows={containers}
        empty={t.noContainers}
        columns={[
          { name: t.container, cell: ({ group }) => group },
          { name: t.state, cell: ({ state }) => <Badge state={state} /> },
          { name: t.runs, isNumber: true, cell: ({ runs }) => runs },
          {
            name: t.memory,
            isNumber: true,
            cell: ({ group }) => {
              const bytes = bytesOf(group);
              return bytes === null ? '–' : sizeText(bytes);
            },
          },
        ]}
      />
      {servers.length > 0 && <p>{`${t.servers}: ${servers.join(', ')}`}</p>}
    </section>
  );
}

const Disk = ({ of: { disk, databaseBytes, backups }, asked }: { of: z.infer<typeof machine>; asked: Asked }) => (
  <section aria-labelledby="disk">
    <h2 id="disk">{t.disk}</h2>
    <Facts
      facts={[
        [
          t.diskFree,
          <span class="meter">
            <Stripe
              share={1 - disk.freeBytes / disk.totalBytes}
              tone={disk.freeBytes < disk.totalBytes / 20 ? 'bad' : ''}
            />
            {t.diskOf(sizeText(disk.freeBytes), sizeText(disk.totalBytes))}
          </span>,
        ],
        [t.database, sizeText(databaseBytes)],
      ]}
    />
    <h3>{t.backups}</h3>
    <Table
      caption={t.backups}
      rows={backups}
      empty={t.noBackups}
      columns={[
        { name: t.backup, cell: ({ name }) => <code>{name}</code> },
        { name: t.made, cell: ({ at }) => <Time at={at} asked={asked} /> },
        { name: t.size, isNumber: true, cell: ({ bytes }) => sizeText(bytes ?? 0) },
      ]}
    />
  </section>
);

const LEVELS: Record<number, string> = t.levels;
const TONES: Record<number, string> = { 40: 'warning', 50: 'failure', 60: 'failure' };

function Log({ lines, asked }: { lines: z.infer<typeof logs>['lines']; asked: Asked }) {
  return (
    <section aria-labelledby="log">
      <h2 id="log">{t.logs}</h2>
      {lines === null ? (
        <p class="quiet">{t.noLogFile}</p>
      ) : (
        <>
          <Filter>
            <Field label={t.search} name="text" value={asked.query.text} hint={t.searchHint} />
          </Filter>
          <Table
            caption={t.logs}
            rows={lines}
            empty={t.noLogs}
            columns={[
              { name: t.time, cell: ({ at }) => <Time at={at} asked={asked} /> },
              {
                name: t.level,
                cell: ({ level }) => <Badge state={TONES[level] ?? 'plain'} label={LEVELS[level] ?? ''} />,
              },
              {
                name: t.what,
                cell: ({ message, fields }) => (
                  <>
                    <bdi>{visible(message.slice(0, 500))}</bdi>{' '}
                    <code class="fields-of">{visible(fields.slice(0, 500))}</code>
                  </>
                ),
              },
            ]}
          />
        </>
      )}
    </section>
  );
}
