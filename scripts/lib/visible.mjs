// Text that others wrote, for a terminal: what steers it, hides, or turns text around is written out. Pure.

/** Control and format characters, what has no shape, and spaces that are none; not the space, the tab and the end of a line. */
const hidden = /(?![\n\t ])[\p{C}\p{Zl}\p{Zp}\p{Zs}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** `\x1b` for a control character, `<U+202E>` for any other. @param {string} text */
export const visible = (text) => text.replace(hidden, written);

/** As one line. @param {string} text */
export const visibleLine = (text) => visible(text).replace(/[\n\t]/g, written);

/** How many characters `visible` writes out. @param {string} text */
export const hiddenCount = (text) => text.match(hidden)?.length ?? 0;

/** @param {string} char */
function written(char) {
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return code < 0xa0 ? `\\x${hex.padStart(2, '0')}` : `<U+${hex.toUpperCase().padStart(4, '0')}>`;
}
