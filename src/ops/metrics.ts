// The figures of `GET /metrics` in the Prometheus text format.

import type { Clock } from '../core/clock.js';
import type { Config } from '../core/config.js';
import { dayName } from '../core/day.js';
import { runState } from '../core/types.js';
import type { Store } from '../tasks/store.js';
import type { Control } from './control.js';

export interface MetricsDeps {
  config: Pick<Config, 'timeZone'>;
  store: Store;
  clock: Clock;
  control: Pick<Control, 'status'>;
}

/** One scrape. "Today" is the calendar day of the configured time zone. */
export function metricsText({ store, clock, config, control }: MetricsDeps): string {
  const now = clock.now();
  const daemon = control.status();
  const today = dayName(now, config.timeZone);
  const usage = store.usage.byModel(today, today, null);
  const model = ({ folder, model }: (typeof usage)[number]) => ({ group: folder, model });
  const calls = usage.map((row): Sample => [row.calls, model(row)]);
  const costs = usage.map((row): Sample => [row.costMicroUsd / 1e6, model(row)]);
  const runs = runState.options.map((name): Sample => [daemon.runs[name] ?? 0, { state: name }]);
  const channels = daemon.channels.map(({ name, state }): Sample => [Number(state === 'open'), { channel: name }]);
  return [
    gauge('up_seconds', 'Seconds since the start.', [[(now - daemon.startedAt) / 1_000]]),
    gauge('resident_memory_bytes', 'Memory of the host process.', [[process.memoryUsage.rss()]]),
    gauge('stopped', '1 while the emergency stop is on.', [[Number(daemon.stopped)]]),
    gauge('engine_up', '1 while the container engine answers.', [[Number(daemon.engine.state === 'up')]]),
    gauge('runs', 'Runs by state.', runs),
    gauge('outbox_queued', 'Messages not yet accepted by their channel.', [[daemon.outboxQueued]]),
    gauge('containers', 'Agent containers, warm or working.', [[daemon.containers.length]]),
    gauge('channel_open', '1 while the channel is connected.', channels),
    gauge('model_calls_today', 'Model calls today.', calls),
    gauge('model_cost_usd_today', 'Model cost today in US dollars.', costs),
  ].join('');
}

type Sample = [value: number, labels?: Record<string, string>];

function gauge(name: string, help: string, samples: Sample[]): string {
  const lines = samples.map(([value, labels = {}]) => {
    // A JSON string escapes what a label value must: backslash, quote and newline.
    const pairs = Object.entries(labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`);
    return `pinch_${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  });
  return `# HELP pinch_${name} ${help}\n# TYPE pinch_${name} gauge\n${lines.join('')}`;
}
