// What of a text is seen: hidden characters for a terminal, and texts that show nothing.

/** Control and format characters, what has no shape, and spaces that are none; not the space, the tab and the end of a line. */
const hidden = /(?![\n\t ])[\p{C}\p{Zl}\p{Zp}\p{Zs}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** What steers a terminal, hides, or turns text around is written as JSON writes it (`\u001b`), so JSON stays the same value. */
export const visible = (text: string): string => text.replace(hidden, (char) => char.split('').map(unit).join(''));

const unit = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Nothing of the text is seen: chats refuse such a message. */
export const isBlank = (text: string): boolean =>
  /^[\s\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]*$/u.test(text);
