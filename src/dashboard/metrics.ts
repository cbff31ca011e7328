// The figures of `GET /metrics` in the Prometheus text format.
import { startOfDay } from '../decide/day.js';
import type { CostRow } from '../store/usage.js';
import { runState } from '../types.js';
import type { DashboardDeps } from './deps.js';

/** One scrape. "Today" is the calendar day of the configured time zone. */
export function metricsText({ store, clock, config, status }: DashboardDeps): string {
  const now = clock.now();
  const state = status();
  const calls = store.usage.byModel(startOfDay(now, config.timeZone));
  const perModel = (value: (row: CostRow) => number) =>
    calls.map((row) => sample(value(row), { group: row.folder, model: row.model }));
  return [
    ...gauge('up_seconds', 'Seconds since the start.', [sample((now - state.startedAt) / 1_000)]),
    ...gauge('resident_memory_bytes', 'Memory of the host process.', [sample(process.memoryUsage.rss())]),
    ...gauge('stopped', '1 while the emergency stop is on.', [sample(Number(state.stopped))]),
    ...gauge('engine_up', '1 while the container engine answers.', [sample(Number(state.engine.state === 'up'))]),
    ...gauge(
      'runs',
      'Runs by state.',
      runState.options.map((name) => sample(state.runs[name] ?? 0, { state: name })),
    ),
    ...gauge('outbox_queued', 'Messages not yet accepted by their channel.', [sample(state.outboxQueued)]),
    ...gauge('containers', 'Agent containers, warm or working.', [sample(state.containers.length)]),
    ...gauge(
      'channel_open',
      '1 while the channel is connected.',
      state.channels.map((channel) => sample(Number(channel.state === 'open'), { channel: channel.name })),
    ),
    ...gauge(
      'model_calls_today',
      'Model calls today.',
      perModel((row) => row.calls),
    ),
    ...gauge(
      'model_cost_usd_today',
      'Model cost today in US dollars.',
      perModel((row) => row.costMicroUsd / 1e6),
    ),
    '',
  ].join('\n');
}

function gauge(name: string, help: string, samples: string[]): string[] {
  const full = `pinch_${name}`;
  return [`# HELP ${full} ${help}`, `# TYPE ${full} gauge`, ...samples.map((one) => full + one)];
}

function sample(value: number, labels: Record<string, string> = {}): string {
  const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  return `${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`;
}
