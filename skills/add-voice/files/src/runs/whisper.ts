// Voice messages as text, made on this machine: ffmpeg turns them into plain sound, whisper.cpp's `whisper-cli` writes down what it hears.
// Nothing leaves the host. Knows nothing about chats or agents.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Env } from '../core/config.js';
import type { MediaReader } from './work-order.js';

const INSTALL = 'The owner of this assistant installs it as skills/add-voice/SKILL.md says';
/** For both programs together the run waits twice as long at most. */
const LIMIT_MS = 150_000;
const LONGEST_S = 900;
const MAX_CHARS = 20_000;
/** What whisper.cpp writes for silence and noise. */
const NOISE = /\[(BLANK_AUDIO|MUSIC|NOISE|SILENCE|INAUDIBLE)\]|\((silence|music|inaudible)\)/gi;
/** Voice messages come in these; the many other formats that ffmpeg reads have no business here. */
const FORMATS = 'ogg,mov,matroska,mp3,wav,flac,aac,amr';

const settings = z.object({
  WHISPER_MODEL: z.string().optional(),
  WHISPER_CLI: z.string().default('whisper-cli'),
  WHISPER_FFMPEG: z.string().default('ffmpeg'),
  WHISPER_LANGUAGE: z.string().default('auto'),
});
type Settings = z.infer<typeof settings> & { PATH: string | undefined };

const run = promisify(execFile);
const failure = z.object({ code: z.union([z.string(), z.number()]).nullish(), killed: z.boolean().nullish() });

/** A reason that is told to the model, which tells the person. */
class NoTranscript extends Error {}

/** What the program prints. Throws NoTranscript. */
async function output(program: string, args: string[], { PATH }: Settings): Promise<string> {
  try {
    // Nothing else of the environment: the keys in it are none of these programs' business.
    const options = { env: { PATH }, timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: 4_000_000 } as const;
    return (await run(program, args, options)).stdout;
  } catch (error) {
    const { code, killed } = failure.parse(error);
    const name = program.split('/').at(-1);
    if (code === 'ENOENT') throw new NoTranscript(`the program ${name} is not installed. ${INSTALL}`);
    if (killed) throw new NoTranscript(`${name} took longer than ${LIMIT_MS / 1_000} seconds`);
    throw new NoTranscript(`${name} failed (${code ?? 'it was killed'})`);
  }
}

async function transcribe(file: string, env: Settings): Promise<string> {
  const { WHISPER_MODEL: model, WHISPER_CLI: whisper, WHISPER_FFMPEG: ffmpeg, WHISPER_LANGUAGE: language } = env;
  if (!model) throw new NoTranscript(`WHISPER_MODEL is not set. ${INSTALL}`);
  if (!existsSync(model)) throw new NoTranscript(`WHISPER_MODEL names a file that is not there. ${INSTALL}`);
  const folder = await mkdtemp(join(tmpdir(), 'pinch-voice-'));
  try {
    const sound = join(folder, 'voice.wav');
    // whisper.cpp wants 16,000 samples a second and does not read Opus, which voice messages are in.
    const input = ['-protocol_whitelist', 'file', '-format_whitelist', FORMATS, '-i', file, '-t', String(LONGEST_S)];
    const result = ['-vn', '-ac', '1', '-ar', '16000', '-c:a', 'pcm_s16le', '-f', 'wav', sound];
    await output(ffmpeg, ['-nostdin', '-loglevel', 'error', ...input, ...result], env);
    const heard = await output(whisper, ['-m', model, '-f', sound, '-l', language, '-np', '-nt'], env);
    const text = heard.replace(NOISE, ' ').replace(/\s+/g, ' ').trim();
    if (text === '') throw new NoTranscript('no words were heard in it');
    return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}… (cut)` : text;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One after the other: two at once would take as long and twice the memory. */
function createTurns() {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work);
    last = next.catch(() => undefined);
    return next;
  };
}

function createReader(): MediaReader {
  const inTurn = createTurns();
  return async (file, { kind }, env: Env) => {
    if (kind !== 'voice') return {};
    try {
      const text = await inTurn(() => transcribe(file, { ...settings.parse(env), PATH: env.PATH }));
      return { transcript: { by: 'whisper.cpp', text }, note: undefined };
    } catch (error) {
      if (!(error instanceof NoTranscript)) throw error;
      return { note: `no transcript: ${error.message}` };
    }
  };
}

export const whisper = createReader();
