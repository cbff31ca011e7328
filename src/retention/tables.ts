// How long the rows of every table stay. A test compares this list with the schema: whoever adds a table says here what becomes of its rows.

type Keeping =
  /** Goes `PINCH_KEEP_DAYS` after it was over, or with the row that it belongs to. */
  | { kept: 'days'; with?: string; but?: string }
  /** Goes after `PINCH_KEEP_MESSAGES_DAYS`, when that is set. */
  | { kept: 'messages' }
  /** Its rows do not grow with what is said and done, or somebody else takes them away. */
  | { kept: 'bounded' | 'for ever'; why: string };

export const keeping: Record<string, Keeping> = {
  runs: { kept: 'days' },
  events: { kept: 'days', with: 'runs' },
  run_messages: { kept: 'days', with: 'runs' },
  model_calls: { kept: 'days' },
  outbox: { kept: 'days' },
  slots: { kept: 'for ever', why: 'the last one of each task, which tasks after it read; the others go like runs' },
  approvals: { kept: 'days', but: 'that somebody asked to register a chat stays: each chat may ask once' },
  service_bodies: { kept: 'days', with: 'approvals' },
  taints: { kept: 'days' },
  memory_versions: { kept: 'days' },
  memory_contents: { kept: 'days', with: 'memory_versions' },
  memory_fts: { kept: 'days', with: 'memory_versions' },
  memory_restores: { kept: 'days' },
  memory_bytes: { kept: 'bounded', why: 'one row per group' },
  messages: { kept: 'messages' },
  messages_fts: { kept: 'messages' },
  forgotten_messages: { kept: 'bounded', why: 'a year: no platform delivers anything again after that' },
  search_todo: { kept: 'bounded', why: 'worked off by the search index' },
  costs: { kept: 'for ever', why: 'one row per day, group, task and model: what Pinch cost must not change' },
  tasks: { kept: 'for ever', why: 'the costs of years name them, and their numbers are never given again' },
  groups: { kept: 'for ever', why: 'the owner makes them' },
  chats: { kept: 'for ever', why: 'one row per conversation, strangers too: who registers one counts on its number' },
  senders: { kept: 'for ever', why: 'one row per person: their names stand in what is kept' },
  forums: { kept: 'for ever', why: 'the owner registers them' },
  settings: { kept: 'bounded', why: 'a few names' },
  migrations: { kept: 'bounded', why: 'one row per file of core/migrations' },
  channel_auth: {
    kept: 'for ever',
    why: 'keys of each device of each person; what was sent goes after 14 days, former accounts after 30',
  },
  page_sessions: { kept: 'bounded', why: 'the page forgets those that are over' },
  egress_rules: { kept: 'for ever', why: 'what the owner allowed; those with an end are removed at it' },
  egress_bytes: { kept: 'bounded', why: 'one row per group' },
  own_skills: { kept: 'bounded', why: 'one row per skill of a group' },
  skills_left_out: { kept: 'bounded', why: 'one row per group' },
  service_tokens: { kept: 'bounded', why: 'one row per service' },
  service_clients: { kept: 'bounded', why: 'one row per service and client' },
  mcp_servers: { kept: 'bounded', why: 'one row per service' },
  mcp_tools: { kept: 'bounded', why: 'the tools of the services: those of a configuration go with it' },
  progress: { kept: 'bounded', why: 'what chats show of runs that work; it goes with their end' },
  run_counts: { kept: 'bounded', why: 'one row per state' },
  set_aside: { kept: 'bounded', why: 'the newest hundred' },
  suspects: { kept: 'bounded', why: 'goes when it went well, and after a while' },
  budget_caps: { kept: 'bounded', why: 'caps of single days are dropped after them' },
  silent_streaks: { kept: 'for ever', why: 'one row per task and chat at most' },
  pauses: { kept: 'bounded', why: 'one row per group' },
  group_models: { kept: 'bounded', why: 'one row per group' },
  held_chats: { kept: 'bounded', why: 'one row per chat' },
};
