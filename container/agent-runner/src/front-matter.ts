// Name and description at the head of a skill's file, in any shape that YAML knows. Everything in the container can write such a file. Pure.
import { isScalar, parseDocument, YAMLMap } from 'yaml';

/** More is no head of a skill: reading YAML takes time. */
const MAX_CHARS = 8_000;
const FRONT_MATTER = /^\s*---[ \t]*\n(.*?)(?:^|\n)(?:---|\.\.\.)[ \t]*(?:\n|$)/s;
/** A value that YAML does not read as plain text begins so. */
const NOT_PLAIN = /^[[\]{}>|*&!%@`#,]/;

type Fields = { name: string; description: string };

/** What is not there is empty. Throws why it cannot be read. */
export function readFrontMatter(bytes: Uint8Array): Fields {
  const text = textOf(bytes).replace(/\r\n?/g, '\n');
  const [, lines] = FRONT_MATTER.exec(text.slice(0, MAX_CHARS)) ?? [];
  if (lines === undefined) throw new Error('it does not begin with lines between two lines of ---');
  // All values are texts, and nothing stands for something else: a few lines that name each other would become gigabytes.
  const document = parseDocument(lines, { schema: 'failsafe', prettyErrors: false, logLevel: 'silent' });
  const [error] = document.errors;
  if (error) return plainFields(lines) ?? fail(`its head is no YAML (${error.code})`);
  if (!(document.contents instanceof YAMLMap)) throw new Error('its head has no fields');
  const { items } = document.contents;
  const field = (key: string): string => {
    const found = items.find((item) => isScalar(item.key) && String(item.key.value).toLowerCase() === key);
    if (!found?.value) return '';
    if (!isScalar(found.value)) throw new Error(`its ${key} is no text`);
    return String(found.value.value ?? '');
  };
  return { name: field('name'), description: field('description') };
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('it is no UTF-8 text');
  }
}

/** People write `description: Bakes: bread`, which is no YAML, and mean all of the line. */
function plainFields(lines: string): Fields | undefined {
  const field = (key: string) => {
    // Lines that are set in go on.
    const [, value = ''] = new RegExp(`^${key}[ \\t]*:[ \\t]+(.*(?:\\n[ \\t]+\\S.*)*)$`, 'im').exec(lines) ?? [];
    return value
      .replace(/\s*\n\s*/g, ' ')
      .trim()
      .replace(/^(["'])(.*)\1$/, '$2');
  };
  const fields = { name: field('name'), description: field('description') };
  return fields.name === '' || fields.description === '' || NOT_PLAIN.test(fields.description) ? undefined : fields;
}

function fail(reason: string): never {
  throw new Error(reason);
}
