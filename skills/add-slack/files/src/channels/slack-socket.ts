// One WebSocket of Slack's Socket Mode, from its hello to its end. It never reconnects by itself: slack.ts decides when.
import { SocketModeClient } from '@slack/socket-mode';
import { atMost, type Clock } from '../core/clock.js';
import { ChannelError } from './channel.js';
import { clientOptions, type SlackSettings, silent } from './slack-api.js';
import { withVariable } from './slack-errors.js';

export interface SlackEvent {
  type: string;
  body: unknown;
  /** Slack sends the event again when this is not called within three seconds. Never rejects. */
  acknowledge(): Promise<void>;
}

export interface SlackSocket {
  /** Resolves when the connection is over, for whatever reason. */
  closed: Promise<void>;
  /** Resolves when no event can arrive any more. A second call is harmless. */
  close(): Promise<void>;
}

/** Slack says hello within a second; a proxy that keeps the line open and says nothing must not hold us for ever. */
const HELLO_TIMEOUT_MS = 90_000;
/** The other side may be gone: its goodbye is not worth a longer wait. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Resolves after Slack's hello. Throws the library's errors or ChannelError. */
export async function openSocket(
  { app, root }: SlackSettings,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  onEvent: (event: SlackEvent) => void,
): Promise<SlackSocket> {
  const client = new SocketModeClient({
    appToken: app,
    autoReconnectEnabled: false,
    logger: silent,
    clientOptions: clientOptions(root, signal),
  });
  client.on('slack_event', ({ type, body, ack }: { type: string; body: unknown; ack(): Promise<void> }) => {
    // On a connection that is gone it cannot be told; Slack sends the event again, and it is known then.
    onEvent({ type, body, acknowledge: () => ack().catch(() => undefined) });
  });
  const closed = new Promise<void>((resolve) => client.once('disconnected', () => resolve()));
  let isOver = false;
  const close = async (): Promise<void> => {
    if (isOver) return;
    void client.disconnect();
    await atMost(clock, CLOSE_TIMEOUT_MS, closed);
    // Asked a second time, the library cuts the line.
    client.websocket?.disconnect();
  };
  const waited = new AbortController();
  const onAbort = () => void close();
  signal.addEventListener('abort', onAbort);
  void closed.then(() => {
    isOver = true;
    signal.removeEventListener('abort', onAbort);
  });
  void clock.sleep(HELLO_TIMEOUT_MS, waited.signal).then(() => (waited.signal.aborted ? undefined : close()));
  try {
    await client.start();
    return { closed, close };
  } catch (error) {
    // The library rejects with nothing at all when the line was cut.
    if (error === undefined) throw new ChannelError('network', 'Slack closed the connection before its hello');
    throw withVariable(error, 'SLACK_APP_TOKEN');
  } finally {
    waited.abort();
  }
}
