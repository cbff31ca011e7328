// The figures of `GET /metrics` in the Prometheus text format.
import { startOfDay } from '../decide/day.js';
import { runState } from '../types.js';
import type { DashboardDeps } from './deps.js';

interface Metric {
  name: string;
  help: string;
  samples: { labels?: Record<string, string>; value: number }[];
}

/** One scrape. "Today" is the calendar day of the configured time zone. */
export function metricsText(deps: DashboardDeps): string {
  return `${metrics(deps).map(render).join('\n')}\n`;
}

function metrics({ store, clock, config, status }: DashboardDeps): Metric[] {
  const now = clock.now();
  const state = status();
  const calls = store.usage.byModel(startOfDay(now, config.timeZone));
  const gauge = (name: string, help: string, ...samples: Metric['samples']): Metric => ({
    name: `pinch_${name}`,
    help,
    samples,
  });
  const perModel = (value: (row: (typeof calls)[number]) => number) =>
    calls.map((row) => ({ labels: { group: row.folder, model: row.model }, value: value(row) }));
  return [
    gauge('up_seconds', 'Seconds since the start.', { value: (now - state.startedAt) / 1_000 }),
    gauge('resident_memory_bytes', 'Memory of the host process.', { value: process.memoryUsage.rss() }),
    gauge('stopped', '1 while the emergency stop is on.', { value: state.stopped ? 1 : 0 }),
    gauge('engine_up', '1 while the container engine answers.', { value: state.engine.state === 'up' ? 1 : 0 }),
    gauge(
      'runs',
      'Runs by state.',
      ...runState.options.map((name) => ({ labels: { state: name }, value: state.runs[name] ?? 0 })),
    ),
    gauge('outbox_queued', 'Messages not yet accepted by their channel.', { value: state.outboxQueued }),
    gauge('containers', 'Agent containers, warm or working.', { value: state.containers.length }),
    gauge(
      'channel_open',
      '1 while the channel is connected.',
      ...state.channels.map((channel) => ({
        labels: { channel: channel.name },
        value: channel.state === 'open' ? 1 : 0,
      })),
    ),
    gauge('model_calls_today', 'Model calls today.', ...perModel((row) => row.calls)),
    gauge('model_cost_usd_today', 'Model cost today in US dollars.', ...perModel((row) => row.costMicroUsd / 1e6)),
  ];
}

function render({ name, help, samples }: Metric): string {
  const lines = samples.map(({ labels, value }) => `${name}${renderLabels(labels)} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines].join('\n');
}

function renderLabels(labels: Record<string, string> | undefined): string {
  if (!labels) return '';
  const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `{${Object.entries(labels)
    .map(([key, value]) => `${key}="${escaped(value)}"`)
    .join(',')}}`;
}
