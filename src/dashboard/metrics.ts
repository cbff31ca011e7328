// The figures of `GET /metrics` in the Prometheus text format.
import { startOfDay } from '../decide/day.js';
import { runState } from '../types.js';
import type { DashboardDeps } from './deps.js';

/** One scrape. "Today" is the calendar day of the configured time zone. */
export function metricsText({ store, clock, config, status }: DashboardDeps): string {
  const now = clock.now();
  const state = status();
  const calls = store.usage.byModel(startOfDay(now, config.timeZone));
  const perModel = (value: (row: (typeof calls)[number]) => number): Sample[] =>
    calls.map((row) => [value(row), { group: row.folder, model: row.model }]);
  const metrics = [
    gauge('up_seconds', 'Seconds since the start.', [(now - state.startedAt) / 1_000]),
    gauge('resident_memory_bytes', 'Memory of the host process.', [process.memoryUsage.rss()]),
    gauge('stopped', '1 while the emergency stop is on.', [Number(state.stopped)]),
    gauge('engine_up', '1 while the container engine answers.', [Number(state.engine.state === 'up')]),
    gauge(
      'runs',
      'Runs by state.',
      ...runState.options.map((name): Sample => [state.runs[name] ?? 0, { state: name }]),
    ),
    gauge('outbox_queued', 'Messages not yet accepted by their channel.', [state.outboxQueued]),
    gauge('containers', 'Agent containers, warm or working.', [state.containers.length]),
    gauge(
      'channel_open',
      '1 while the channel is connected.',
      ...state.channels.map((channel): Sample => [Number(channel.state === 'open'), { channel: channel.name }]),
    ),
    gauge('model_calls_today', 'Model calls today.', ...perModel((row) => row.calls)),
    gauge('model_cost_usd_today', 'Model cost today in US dollars.', ...perModel((row) => row.costMicroUsd / 1e6)),
  ];
  return metrics.join('');
}

type Sample = [value: number, labels?: Record<string, string>];

function gauge(name: string, help: string, ...samples: Sample[]): string {
  const lines = samples.map(([value, labels = {}]) => {
    // A JSON string escapes what a label value must: backslash, quote and newline.
    const pairs = Object.entries(labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`);
    return `pinch_${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  });
  return `# HELP pinch_${name} ${help}\n# TYPE pinch_${name} gauge\n${lines.join('')}`;
}
