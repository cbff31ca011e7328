// web_search through a service of the owner, by the host's door: its rules and its credential. Results are marked as what nobody trusted.
// The provider's own search is no tool of ours: model.ts asks for it.
import { STATUS_CODES } from 'node:http';
import * as z from 'zod';
import { oneLine } from '../../../../src/core/one-line.js';
import { type SearchEngine, webSearchTool } from '../../../../src/wire.js';
import type { RunContext, Tool } from '../context.js';
import { attributes } from '../prompt.js';
import { head } from '../text.js';
import { marked, seen } from './web.js';
import { zodTool } from './zod-tool.js';

const MAX_RESULTS = 10;
const ERROR_CHARS = 500;

interface Result {
  title: string;
  url: string;
  snippet: string;
  date: string;
}

/** Paths are below the service's `url`. `read` throws when the answer is none of this engine. */
interface Engine {
  path(query: string): string;
  body?(query: string): object;
  read(answer: unknown): { results: Result[]; note?: string };
}

const text = z.string().catch('');
const list = <T extends z.ZodType>(item: T) => z.array(item).max(1_000);
const braveAnswer = z.object({
  type: z.literal('search'),
  web: z
    .object({ results: list(z.object({ title: text, url: text, description: text, page_age: text, age: text })) })
    .optional(),
});
const tavilyAnswer = z.object({
  results: list(z.object({ title: text, url: text, content: text, published_date: text })),
});
const searxngAnswer = z.object({
  results: list(z.object({ title: text, url: text, content: text, publishedDate: text })),
  unresponsive_engines: list(z.array(text)).catch([]),
});

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#x27': "'", '#39': "'" };
/** Brave writes HTML. */
const plain = (html: string) =>
  html.replace(/<\/?\w+>/g, '').replace(/&([\w#]+);/g, (entity, name) => ENTITIES[name] ?? entity);

const ENGINES: Record<SearchEngine, Engine> = {
  brave: {
    path: (q) =>
      `res/v1/web/search?${new URLSearchParams({ q, count: `${MAX_RESULTS}`, text_decorations: 'false', result_filter: 'web' })}`,
    read: (answer) => ({
      results: (braveAnswer.parse(answer).web?.results ?? []).map(({ title, url, description, page_age, age }) => ({
        ...{ title: plain(title), url, snippet: plain(description) },
        date: page_age.slice(0, 10) || age,
      })),
    }),
  },
  tavily: {
    path: () => 'search',
    body: (query) => ({ query, max_results: MAX_RESULTS }),
    read: (answer) => ({
      results: tavilyAnswer
        .parse(answer)
        .results.map(({ content: snippet, published_date: date, ...rest }) => ({ ...rest, snippet, date })),
    }),
  },
  searxng: {
    path: (q) => `search?${new URLSearchParams({ q, format: 'json' })}`,
    read(answer) {
      const { results, unresponsive_engines: silent } = searxngAnswer.parse(answer);
      const shown = results.map(({ content: snippet, publishedDate, ...rest }) => ({
        ...rest,
        snippet,
        date: publishedDate.slice(0, 10),
      }));
      const note = `Not answered by: ${silent.map((why) => oneLine(why.join(' '), 80)).join(', ')}`;
      return { results: shown, ...(silent.length > 0 && { note: head(note, ERROR_CHARS) }) };
    },
  },
};

const isWeb = (url: string) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);

function show(engine: SearchEngine, query: string, { results, note }: ReturnType<Engine['read']>): string {
  const found = results.filter(({ url }) => isWeb(url)).slice(0, MAX_RESULTS);
  const lines = found.map(({ title, url, snippet, date }, at) => {
    const about = [date && oneLine(date, 40), oneLine(snippet, 500)].filter(Boolean).join(' · ');
    return `${at + 1}. ${oneLine(title, 200)}\n   ${oneLine(new URL(url).href, 500)}\n   ${about}`;
  });
  const said = [lines.length > 0 ? lines.join('\n') : 'Nothing found.', note].filter(Boolean).join('\n');
  return marked(`<untrusted${attributes({ source: engine, query })}>`, seen(said));
}

/** Why there are no results, and who can change that. */
function failure(engine: SearchEngine, service: string, status: number, answer: string): Error {
  if (engine === 'searxng' && status === 403)
    return new Error(
      'this SearXNG gives no JSON (403): the owner adds `json` to search.formats in its settings.yml (docs/services.md)',
    );
  // Brave calls an unknown key an input that cannot be processed.
  if (status === 401 || status === 403 || answer.includes('SUBSCRIPTION_TOKEN_INVALID'))
    return new Error(
      `${engine} refuses the owner's key of the service ${service} (${status}); only the owner can change it`,
    );
  // The last two are Tavily's: a plan or a limit that is used up.
  if ([429, 432, 433].includes(status)) return new Error(`${engine} takes no more searches for now (${status})`);
  const what = `${engine} answered ${status} ${STATUS_CODES[status] ?? ''}`.trim();
  const says = seen(head(answer, ERROR_CHARS));
  return new Error(
    says === '' ? what : `${what}. It says:\n${marked(`<untrusted${attributes({ source: engine })}>`, says)}`,
  );
}

function readAnswer(name: SearchEngine, answer: string): ReturnType<Engine['read']> {
  try {
    return ENGINES[name].read(JSON.parse(answer));
  } catch {
    throw new Error(`this is no answer of ${name}: the owner's services.json may name another engine than there is`);
  }
}

export function searchEngineTool({ run: { search }, host, signal }: RunContext): Tool[] {
  // Two tools of one name would be refused.
  if (search === undefined || search === 'model') return [];
  const { service, engine } = search;
  return [
    zodTool({
      ...webSearchTool,
      run: async ({ query }) => {
        const { path, body } = ENGINES[engine];
        const { status, text: answer } = await host.service(`${service}/${path(query)}`, body?.(query), signal);
        if (status !== 200) throw failure(engine, service, status, answer);
        return show(engine, query, readAnswer(engine, answer));
      },
    }),
  ];
}
