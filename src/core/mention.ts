// `@Name` in a text: one rule for what calls the assistant and for whom our own words mention. Pure.

/** Scripts whose words are parted by spaces, besides the Latin one. */
const SPACED = ['Cyrillic', 'Greek', 'Arabic', 'Hebrew', 'Devanagari', 'Armenian', 'Georgian', 'Ethiopic'];

/**
 * Finds `@` and one of the names, the first that fits: in any case, not as a part of a longer word or an address. Scripts without spaces
 * begin and end a word anywhere.
 */
export function mentionPattern(...names: string[]): RegExp {
  const scripts = ['Latin', ...SPACED.filter((script) => new RegExp(`\\p{Script=${script}}`, 'u').test(names.join()))];
  const word = `${scripts.map((script) => `\\p{Script=${script}}`).join('')}\\p{Nd}_`;
  const any = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  return new RegExp(
    `(?<![${word}\\p{Script=Inherited}@])@(?:${any})(?![${word}\\p{Script=Inherited}@])(?![.\\-][${word}])`,
    'iu',
  );
}
