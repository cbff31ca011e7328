// What a backup holds of a home. Everything but what is made anew, so that what a later module keeps in data/ is in it as well.

/** Below data/. The database is copied by SQLite; the rest here is of one process, of one day, or of the copies themselves. */
const NOT_OF_DATA =
  /^(pinch\.db.*|backups|logs|dry|doctor|begun|lock\.db.*|running\.json|failed-start\.json|whole-backup\.json|updated\.json|restoring.*|before-restore.*)$/;
/** Owner's files beside groups/ and data/. */
export const SETTINGS = ['.env', 'services.json'];
export const DATABASE = 'data/pinch.db';
/** First and last entry: what it is, and that it is whole. */
export const ABOUT = 'backup.json';
export const END = 'end.json';

/** Whether a file or folder belongs to a backup; `path` is relative to the home, with `/`. Pure. */
export function belongs(path: string): boolean {
  const [top, first = '', second = '', third] = path.split('/');
  // It comes with the checkout.
  if (top === 'groups') return second !== 'CLAUDE.template.md';
  if (top !== 'data') return SETTINGS.includes(path);
  if (NOT_OF_DATA.test(first)) return false;
  // A server's programs are installed again; what it has written is kept.
  return first !== 'mcp' || third === undefined || third === 'data' || second === '';
}

/** Whether an entry of an archive may be written: below the home, only where a backup has something, and of a kind that it has. Pure. */
export function isSafe(path: string, type = 'file'): boolean {
  const parts = path.split('/');
  if (path === 'groups' || path === 'data') return type === 'directory';
  if (!/^(file|directory|symlink)$/.test(type)) return false;
  const isPlain = parts.every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'));
  return isPlain && (path === DATABASE || belongs(path));
}
