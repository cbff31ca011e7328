// What the skills of this checkout bring into services.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const skills = join(import.meta.dirname, '..', '..', 'skills');
const brought = z.object({ services: z.record(z.string(), z.record(z.string(), z.unknown())).default({}) });

/** The entries of a skill with what the owner gave, as `npm run skill -- apply` writes them. */
export function servicesOf(skill: string, given: Record<string, string> = {}) {
  const text = readFileSync(join(skills, skill, 'skill.json'), 'utf8');
  const filled = text.replace(/<([A-Z][A-Z0-9_]*)>/g, (all, name: string) => given[name] ?? all);
  return brought.parse(JSON.parse(filled)).services;
}
