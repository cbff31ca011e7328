// `@Name` in a text: one rule for what calls the assistant and for whom our own words mention. Pure.

/** Scripts whose words are parted by spaces, besides the Latin one. */
const SPACED = ['Cyrillic', 'Greek', 'Arabic', 'Hebrew', 'Devanagari', 'Armenian', 'Georgian', 'Ethiopic'];

/**
 * Finds `@` and one of the names, the first that fits: in any case, not as a part of a longer word or an address. Scripts without spaces
 * begin and end a word anywhere.
 */
export function mentionPattern(...names: string[]): RegExp {
  const scripts = ['Latin', ...SPACED.filter((script) => new RegExp(`\\p{Script=${script}}`, 'u').test(names.join()))];
  const letter = `${scripts.map((script) => `\\p{Script=${script}}`).join('')}\\p{Nd}`;
  const any = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  // `_` is a part of words, and a mark of emphasis around them.
  const before = `(?<![${letter}]\\p{Mn}*_*)(?<![@]|://[!-~]*)`;
  return new RegExp(`${before}@(?:${any})(?!_*[${letter}]|[\\p{Mn}@]|[.\\-][${letter}_])`, 'iu');
}

/** The text as names in it are compared: one form for the same letters, and nothing that is not seen. */
export const asSeen = (text: string): string =>
  text.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}/gu, '');
