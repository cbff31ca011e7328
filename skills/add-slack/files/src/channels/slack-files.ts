// Downloads a file that somebody sent on Slack, with the bot's token, from Slack's own hosts only.
import { timeLimit } from '../core/clock.js';
import { ChannelError } from './channel.js';
import { readAnswer, tooLarge } from './download.js';
import type { SlackApi, SlackSettings } from './slack-api.js';
import { toChannelError } from './slack-errors.js';

const DOWNLOAD_TIMEOUT_MS = 120_000;

interface Download {
  /** The file's id. */
  ref: string;
  maxBytes: number;
  signal: AbortSignal;
}

/** Throws ChannelError. */
export async function downloadSlackFile(
  api: SlackApi,
  { bot, root }: SlackSettings,
  { ref, maxBytes, signal }: Download,
): Promise<Uint8Array> {
  try {
    const { url, sizeBytes } = await api.file(ref);
    // The token goes along, so nobody but Slack may be asked.
    if (url === undefined || !isSlacks(url, root)) throw new ChannelError('permanent', 'Slack does not offer the file');
    if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
    const headers = { authorization: `Bearer ${bot}` };
    const over = AbortSignal.any([signal, timeLimit(DOWNLOAD_TIMEOUT_MS)]);
    const response = await fetch(url, { headers, redirect: 'error', signal: over });
    // Without the scope files:read Slack answers with its login page.
    const isPage = response.headers.get('content-type')?.startsWith('text/html') && !url.endsWith('.html');
    if (isPage) {
      await response.body?.cancel();
      throw new ChannelError('permanent', 'the Slack app lacks the scope files:read');
    }
    return await readAnswer(response, 'Slack', maxBytes);
  } catch (error) {
    throw toChannelError(error);
  }
}

/** The host of the Web API or one below it (files.slack.com), over the same protocol. */
function isSlacks(url: string, root: string): boolean {
  if (!URL.canParse(url)) return false;
  const [file, api] = [new URL(url), new URL(root)];
  return file.protocol === api.protocol && (file.host === api.host || file.host.endsWith(`.${api.host}`));
}
