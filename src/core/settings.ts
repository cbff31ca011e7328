// Small durable facts by name: so far the pairing codes.
import type { Statements } from './statements.js';

export function createSettings({ run, value }: Statements) {
  return {
    get: value<[key: string], string>('SELECT value FROM settings WHERE key = ?1'),
    set: run<[key: string, value: string]>(
      'INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    ),
    remove: run<[key: string]>('DELETE FROM settings WHERE key = ?1'),
  };
}
