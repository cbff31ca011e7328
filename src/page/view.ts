// What a page of the control room is: where it is, what it is about, and how its content is made from what the API and the store say.
import type { Child } from 'hono/jsx';
import type { z } from 'zod';
import type { PageDeps } from './deps.js';
import type { Topic } from './live.js';
import type { texts } from './texts.js';

export interface Asked {
  deps: PageDeps;
  /** Behind the name of the page: `/runs/12`. */
  id: string | undefined;
  query: Record<string, string>;
  now: number;
  /** What a GET of the JSON API answers; undefined when it refuses, e.g. because there is no such thing. */
  read<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined>;
}

export interface View {
  /** In its address and in the navigation. */
  name: keyof typeof texts.nav;
  /** It shows what changes with these. */
  topics: Topic[];
  /** `title` for a page about one thing; undefined: there is no such thing. */
  render(asked: Asked): Promise<Shown | undefined> | Shown | undefined;
}

export interface Shown {
  title?: string;
  body: Child;
}

/** A whole number of an address; undefined for anything else. */
export const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
