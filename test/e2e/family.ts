// Olga, whose assistant it is, Ben, and the group of their family, on the fake Telegram.
import { startFakeTelegram } from '../fakes/telegram.js';

export type Family = Awaited<ReturnType<typeof startFamily>>;

/** `env`: what a daemon needs to know to be there for them. Close `tg` at the end. */
export async function startFamily(nameOfBen = 'Ben') {
  const tg = await startFakeTelegram();
  const olga = tg.user({ id: 11, first_name: 'Olga' });
  const ben = tg.user({ id: 12, first_name: nameOfBen });
  const direct = tg.privateChat(olga);
  const family = tg.group({ id: -500, title: 'Family', members: [olga, ben] });
  const env = { TELEGRAM_BOT_TOKEN: tg.token, TELEGRAM_API_ROOT: tg.url, PINCH_OWNER: 'telegram:11' };
  return { tg, olga, ben, direct, family, env };
}

/** Makes their group one of the assistant's, once a daemon is there for them. */
export async function registerFamily({ tg, olga, family }: Family): Promise<void> {
  await tg.waitForPoll();
  tg.userSends(family, olga, '/register family');
  await tg.waitForSent((sent) => sent.chat_id === family.id);
}
