// What the person who started the daemon, or owns it, is told by the daemon itself: how to go on after a start, and channels that need them.
import { type Channel, type ChannelState, needsPerson } from '../channels/channel.js';
import type { Pairing } from '../chats/pairing.js';
import { type Config, isService } from '../core/config.js';
import type { Db } from '../core/db.js';
import type { LoopDeps } from '../core/deps.js';
import { oneLine } from '../core/one-line.js';
import { qrForTerminal } from '../core/qr.js';

export interface ReportDeps extends LoopDeps {
  config: Config;
  store: Pick<Db, 'signal'>;
  pairing: Pick<Pairing, 'open'>;
  channel: Pick<Channel, 'pairingLink'> | undefined;
}

/** A channel's new state, for the log, the page and, where only a person can go on, the owner. */
export function reportChannel(deps: ReportDeps, channel: string, { state, detail, link }: ChannelState): void {
  const { log, store, notifyOwner, clock, config } = deps;
  if (state === 'open' && !isService(config)) showPairingLink(deps, channel);
  // Whoever has the code links a device of their own: the page and `pinch pair` show it, the log does not.
  const logged = link?.code ? detail.replaceAll(link.code, '…') : detail;
  log[needsPerson(state) ? 'error' : 'info']({ channel, state, detail: logged }, 'channel state');
  store.signal('channel', channel);
  if (link?.qr && !isService(config)) process.stderr.write(`\n${qrForTerminal(link.qr)}\n   ${channel}: ${detail}\n\n`);
  if (link?.code && !isService(config)) process.stderr.write(`\n   ${channel}: ${detail}\n\n`);
  if (needsPerson(state))
    notifyOwner(`channel:${channel}:${clock.now()}`, `The channel ${channel} needs you: ${oneLine(detail, 500)}`);
}

/** A person who scans it opens the chat with the code in it, and has to press Start only. */
function showPairingLink({ pairing, channel }: ReportDeps, name: string): void {
  for (const { code } of pairing.open([name])) {
    const link = channel?.pairingLink?.(code);
    if (link)
      process.stderr.write(
        `\n${qrForTerminal(link)}\n   To be the owner on ${name}, scan this or open ${link}, and press Start.\n\n`,
      );
  }
}

export interface Greeting {
  config: Config;
  /** What `.env` says that nobody can have meant. */
  notices: string[];
  channels: string[];
  pairing: Pick<Pairing, 'open'>;
  /** The link to the page, when it is on. */
  page: string | undefined;
}

/** What a person at a terminal wants to know next; on stderr, so that stdout stays machine-readable. */
export function greet({ config, notices, channels, pairing, page }: Greeting): void {
  // A service has no terminal, only files, and links and codes do not belong into them: `pinch status` and `pinch pair` show both.
  if (isService(config)) return;
  const lines = page ? [`Open ${page}`] : [];
  for (const { channel, code } of pairing.open(channels))
    lines.push(`To be the owner on ${channel}, send the assistant this direct message: /pair ${code}`);
  if (config.backend.kind === 'demo')
    lines.push('No account is configured: the demo model answers. Set ANTHROPIC_API_KEY in .env for real answers.');
  lines.push(...notices.map((notice) => `! ${notice}`));
  process.stderr.write(`\n🦞 ${config.assistantName} is ready.\n${lines.map((line) => `   ${line}\n`).join('')}\n`);
}
