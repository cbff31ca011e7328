// What the runner and the reader's own process say to each other: where bytes came from, and what could be read in them.
import * as z from 'zod';

/** `type`: the Content-Type header, empty when there was none. */
export const source = z.object({ url: z.string(), type: z.string() });
export type Source = z.infer<typeof source>;

const word = z
  .string()
  .optional()
  .catch(undefined)
  .transform((text) => text?.replace(/\s+/g, ' ').trim().slice(0, 300) || undefined);

/**
 * All of it is what the site says, but `note`: why there is no text or less than a person would see (`scripts` fill the page in, a `scan` has
 * pictures only, a `password` is needed, it is `binary` or of a `legacy` format), that tags were only left out (`rough`), or that only its first part
 * is here (`cut`).
 */
export const document = z.object({
  about: z.object({ title: word, author: word, site: word, published: word, format: word }),
  text: z.string(),
  note: z.enum(['scripts', 'scan', 'password', 'binary', 'legacy', 'rough', 'cut']).optional(),
});
export type Document = z.input<typeof document>;

/** `at`: when it was fetched; `mark`: the opening tag around each of its pages; `note`: ours. */
export type KeptPage = { at: number; mark: string; pages: string[]; note: string };
