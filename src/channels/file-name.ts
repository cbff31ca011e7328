// Names of files that people and agents choose, made harmless.

/** A base name that is harmless in any folder: no separators, no control characters, no leading dots, at most 100 characters. */
export function safeFileName(name: string): string {
  const base = name.split(/[/\\]/).at(-1) ?? '';
  const clean = base
    .replace(/[\p{Cc}\p{Cf}\p{Cs}:*?"<>|]/gu, '_')
    .replace(/^[.\s]+/, '')
    .trim();
  const characters = [...clean];
  if (characters.length <= 100) return clean || 'file';
  const extension = /\.[\w]{1,10}$/.exec(clean)?.[0] ?? '';
  return characters.slice(0, 100 - extension.length).join('') + extension;
}
