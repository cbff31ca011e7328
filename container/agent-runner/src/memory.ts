// Whether the kernel has killed a program of this container because all of them took too much memory.
import fs from 'node:fs';

/** Control groups of version 2, and of version 1. */
const COUNTERS = ['/sys/fs/cgroup/memory.events', '/sys/fs/cgroup/memory/memory.oom_control'];

/** How many it has killed so far; 0 where that cannot be read. Never throws. */
export function killedForMemory(files = COUNTERS): number {
  const text = files.map((file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '')).join('\n');
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}
