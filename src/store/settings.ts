// Small durable facts by name (pairing code, last notice…).
import type { Statements } from './statements.js';

export type Settings = ReturnType<typeof createSettings>;

export function createSettings({ run, get }: Statements) {
  const read = get<[key: string], { value: string }>('SELECT value FROM settings WHERE key = ?1');
  return {
    get: (key: string): string | undefined => read(key)?.value,
    set: run<[key: string, value: string]>(
      'INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    ),
    remove: run<[key: string]>('DELETE FROM settings WHERE key = ?1'),
  };
}
