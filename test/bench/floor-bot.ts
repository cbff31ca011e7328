// The least that any assistant must do: a message comes in over grammY, the SDK asks the model, the text goes back. Nothing is stored, no
// container; what Pinch costs is measured against it. A process of its own, as the daemon is.
import Anthropic from '@anthropic-ai/sdk';
import { Bot } from 'grammy';

const {
  TELEGRAM_BOT_TOKEN = '',
  TELEGRAM_API_ROOT = '',
  ANTHROPIC_BASE_URL = '',
  ANTHROPIC_API_KEY = '',
} = process.env;
const bot = new Bot(TELEGRAM_BOT_TOKEN, { client: { apiRoot: TELEGRAM_API_ROOT } });
const client = new Anthropic({ baseURL: ANTHROPIC_BASE_URL, apiKey: ANTHROPIC_API_KEY });

bot.on('message:text', async (context) => {
  const messages = [{ role: 'user' as const, content: context.message.text }];
  const stream = client.messages.stream({ model: 'claude-sonnet-5-5', max_tokens: 16_000, messages });
  await context.reply(await stream.finalText());
});

// Whoever started it has ended.
process.stdin.on('end', () => process.exit()).resume();
await bot.start();
