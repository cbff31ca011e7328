// The few pieces that all pages of the control room are made of. What comes from outside is text here, never HTML.
import { raw } from 'hono/html';
import type { Child } from 'hono/jsx';
import { oneLine } from '../core/one-line.js';
import { shortTime } from '../core/times.js';
import type { Run } from '../core/types.js';
import { visible } from '../core/visible.js';
import { fullTime, moneyText } from './format.js';
import { texts } from './texts.js';
import type { Asked } from './view.js';

const { parts } = texts;

/** A name that somebody chose, on one line, with nothing in it that hides or turns the text around. */
export const Name = ({ of, max = 120 }: { of: string; max?: number }) => <bdi>{oneLine(of, max)}</bdi>;

/** HTML that our own Markdown renderer made. */
export const Html = ({ html }: { html: string }) => <div class="text">{raw(html)}</div>;

export function Time({ at, asked }: { at: number | null | undefined; asked: Asked }) {
  if (at === null || at === undefined) return <span class="quiet">–</span>;
  const { timeZone } = asked.deps.config;
  return (
    <time datetime={new Date(at).toISOString()} title={fullTime(at, timeZone)}>
      {shortTime(at, asked.now, timeZone)}
    </time>
  );
}

export const Money = ({ of }: { of: number | null | undefined }) => <span class="number">{moneyText(of ?? 0)}</span>;

/** How a word about a state is coloured: the word itself says it, too. */
const TONES: Record<string, string> = {
  ...{ done: 'good', sent: 'good', ok: 'good', open: 'good', active: 'good', allowed: 'good', up: 'good' },
  ...{ leased: 'busy', running: 'busy', working: 'busy', linking: 'busy', starting: 'busy' },
  ...{
    ready: 'wait',
    waiting: 'wait',
    queued: 'wait',
    dry: 'wait',
    paused: 'wait',
    warning: 'wait',
    ask: 'wait',
    asked: 'wait',
  },
  ...{ dead: 'bad', failed: 'bad', failure: 'bad', blocked: 'bad', down: 'bad', missed: 'bad', refused: 'bad' },
  ...{ 'logged-out': 'bad', unlinked: 'bad', 'expired-version': 'bad', denied: 'bad' },
};

export const Badge = ({ state, label }: { state: string; label?: string | undefined }) => (
  <span class={`badge ${TONES[state] ?? 'calm'}`}>{label ?? state}</span>
);

/** Of a run, as people say it. */
export const StateBadge = ({ state }: { state: Run['state'] }) => (
  <Badge state={state} label={texts.runStates[state]} />
);

export interface Column<Row> {
  name: string;
  /** Figures stand at the right. */
  isNumber?: boolean;
  cell(row: Row): Child;
}

interface TableProps<Row> {
  /** What it is a list of, for who does not see it. */
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  empty: string;
  /** The same width for what stands beside each other. */
  isEven?: boolean;
  keyOf?(row: Row): string | number;
}

const as = (role: string) => ({ role });

/** On a phone each row is a card: the roles are said, because the layout takes them away. The first column names the row. */
export function Table<Row>({ caption, columns, rows, empty, isEven, keyOf }: TableProps<Row>) {
  if (rows.length === 0) return <p class="quiet empty">{empty}</p>;
  return (
    <table {...as('table')} class={isEven ? 'even' : undefined} aria-label={caption}>
      <thead {...as('rowgroup')}>
        <tr {...as('row')}>
          {columns.map(({ name, isNumber }) => (
            <th {...as('columnheader')} scope="col" class={isNumber ? 'number' : undefined}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody {...as('rowgroup')}>
        {rows.map((row) => (
          <tr {...as('row')} data-key={keyOf?.(row)}>
            {columns.map(({ name, isNumber, cell }, index) =>
              index === 0 ? (
                <th {...as('rowheader')} scope="row">
                  {cell(row)}
                </th>
              ) : (
                <td {...as('cell')} data-label={name} class={isNumber ? 'number' : undefined}>
                  {cell(row)}
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export interface Bar {
  label: Child;
  value: number;
  text: string;
}

/** A chart of lengths; the figures stand beside, so who does not see it misses nothing. */
export function Bars({ caption, bars, empty }: { caption: string; bars: Bar[]; empty: string }) {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  if (bars.length === 0) return <p class="quiet empty">{empty}</p>;
  return (
    <ul class="bars" aria-label={caption}>
      {bars.map(({ label, value, text }) => (
        <li>
          <span class="bar-label">{label}</span>
          <Stripe share={value / most} />
          <span class="number">{text}</span>
        </li>
      ))}
    </ul>
  );
}

/** 0 to 1. As attributes of a picture: the page allows no style of its own. */
export const Stripe = ({ share, tone = '' }: { share: number; tone?: string }) => (
  <svg class={`stripe ${tone}`} viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
    <rect class="stripe-ground" width="100" height="8" rx="1" />
    <rect width={Math.max(0, Math.min(100, share * 100)).toFixed(2)} height="8" rx="1" />
  </svg>
);

/** Facts as a list of names and values; what is undefined is left out. */
export const Facts = ({ facts }: { facts: [name: string, value: Child | undefined][] }) => (
  <dl class="facts">
    {facts
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
  </dl>
);

const SHOWN_CHARS = 600;
/** More would make a browser slow; the API has all of it. */
const MOST_CHARS = 200_000;

/** A text of any length from anywhere: its beginning, and the rest when somebody asks for it. */
export function Long({ text, shown = SHOWN_CHARS }: { text: string; shown?: number }) {
  const clean = visible(text.slice(0, MOST_CHARS));
  if (clean.length <= shown) return <pre class="long">{clean}</pre>;
  const isCut = text.length > MOST_CHARS;
  return (
    <>
      <pre class="long">{`${clean.slice(0, shown)}…`}</pre>
      <details class="all">
        <summary>{parts.showAll(text.length)}</summary>
        <pre class="long">{clean}</pre>
        {isCut && <p class="quiet">{parts.cut(MOST_CHARS)}</p>}
      </details>
    </>
  );
}

interface ActionProps {
  /** Method and path of the JSON API. */
  call: string;
  label: string;
  /** What it is done to, for who hears the button alone. */
  about?: string;
  body?: object;
  /** Asked before it is done. */
  confirm?: string;
  /** Where to go afterwards; `{run.id}` is taken from the answer. */
  go?: string;
  tone?: 'primary' | 'danger';
  children?: Child;
}

/** A form that calls the API: its fields, or `body`, are what it sends (pages/control.js). */
export function Action({ call, label, about, body, confirm, go, tone, children }: ActionProps) {
  return (
    <form
      class={children ? 'fields' : 'action'}
      data-call={call}
      data-body={body && JSON.stringify(body)}
      data-confirm={confirm}
      data-go={go}
    >
      {children}
      <button type="submit" class={`small ${tone ?? ''}`} aria-label={about && `${label}: ${oneLine(about, 120)}`}>
        {label}
      </button>
    </form>
  );
}

interface FieldProps {
  label: string;
  /** Of the field in the body; `a.b` is b within a. */
  name: string;
  value?: string | number | undefined;
  /** How it is sent: as a number, several ones, true or false, the lines of a list. Text without it. */
  as?: 'number' | 'numbers' | 'flag' | 'list';
  /** An empty field is sent as null instead of being left out. */
  orNull?: boolean;
  options?: (readonly [value: string, label: string])[];
  isLong?: boolean;
  isRequired?: boolean;
  hint?: string;
}

export function Field({ label, name, value, as, orNull, options, isLong, isRequired, hint }: FieldProps) {
  const common = {
    name,
    required: isRequired,
    'data-as': as,
    'data-or-null': orNull ? '1' : undefined,
    autocomplete: 'off',
  };
  const chosen = String(value ?? '');
  if (as === 'flag')
    return (
      <label class="check">
        <input type="checkbox" checked={value === 1} {...common} /> {label}
      </label>
    );
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: it holds one of three
    <label class={isLong ? 'wide' : undefined}>
      <span>{label}</span>
      {options ? (
        <select {...common}>
          {options.map(([option, text]) => (
            <option value={option} selected={option === chosen}>
              {text}
            </option>
          ))}
        </select>
      ) : isLong ? (
        <textarea rows={as === 'list' ? 3 : 6} {...common}>
          {chosen}
        </textarea>
      ) : (
        <input type="text" inputmode={as === 'number' ? 'decimal' : undefined} value={chosen} {...common} />
      )}
      {hint && <small class="quiet">{hint}</small>}
    </label>
  );
}

/** Filters stand in the address: a page can be kept and shared with oneself. */
export const Filter = ({ children }: { children: Child }) => (
  <form class="fields filter" method="get" data-filter="1">
    {children}
    <button type="submit" class="small">
      {parts.filter}
    </button>
  </form>
);

/** The next page of a list, when there is one. */
export function Older({ query, before }: { query: Record<string, string>; before: number | undefined }) {
  if (before === undefined) return null;
  return (
    <p class="older">
      <a rel="next" href={`?${new URLSearchParams({ ...query, before: String(before) })}`}>
        {parts.older}
      </a>
    </p>
  );
}

/** One more row than is shown says that there is a next page. */
export function paged<Row extends { id: number }>(rows: Row[], limit: number) {
  const shown = rows.slice(0, limit);
  return { shown, before: rows.length > limit ? shown.at(-1)?.id : undefined };
}
