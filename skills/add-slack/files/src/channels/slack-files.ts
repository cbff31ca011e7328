// Downloads a file that somebody sent on Slack, with the bot's token, from Slack's own hosts only.
import { ChannelError } from './channel.js';
import type { SlackSettings } from './slack.js';
import type { SlackApi } from './slack-api.js';
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
    const over = AbortSignal.any([signal, AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS)]);
    const response = await fetch(url, { headers, redirect: 'error', signal: over });
    // Without the scope files:read Slack answers with its login page.
    const isPage = response.headers.get('content-type')?.startsWith('text/html') && !url.endsWith('.html');
    if (!response.ok || !response.body || isPage) {
      await response.body?.cancel();
      const kind = response.status >= 500 ? 'network' : 'permanent';
      throw new ChannelError(
        kind,
        isPage ? 'the Slack app lacks the scope files:read' : `Slack answered ${response.status}`,
      );
    }
    return await read(response.body, maxBytes);
  } catch (error) {
    throw toChannelError(error);
  }
}

async function read(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let left = maxBytes;
  for await (const chunk of body) {
    left -= chunk.byteLength;
    // Leaving the loop early cancels the rest of the download.
    if (left < 0) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The host of the Web API or one below it (files.slack.com), over the same protocol. */
function isSlacks(url: string, root: string): boolean {
  if (!URL.canParse(url)) return false;
  const [file, api] = [new URL(url), new URL(root)];
  return file.protocol === api.protocol && (file.host === api.host || file.host.endsWith(`.${api.host}`));
}

const tooLarge = (maxBytes: number) =>
  new ChannelError('permanent', `larger than ${Math.floor(maxBytes / 1024 / 1024)} MB`);
