// What the owner's phone sends a device that was just linked: the past, which is empty, and who has which phone number.
import { deflateSync } from 'node:zlib';
import { proto } from '@whiskeysockets/baileys';
import { postMail } from './whatsapp-mail.js';
import { el, nowSeconds } from './whatsapp-node.js';
import { newMessageId, type World } from './whatsapp-state.js';

/** Once per link. Without it the library holds messages back for 20 s, waiting for it. */
export function sendHistory(world: World): void {
  if (!world.device?.awaitsHistory) return;
  world.device.awaitsHistory = false;
  const syncType = proto.HistorySync.HistorySyncType.INITIAL_BOOTSTRAP;
  const phoneNumberToLidMappings = world.people.map(({ jid, lid }) => ({ pnJid: jid, lidJid: lid }));
  const history = proto.HistorySync.encode({ syncType, phoneNumberToLidMappings }).finish();
  const message: proto.IMessage = {
    protocolMessage: {
      type: proto.Message.ProtocolMessage.Type.HISTORY_SYNC_NOTIFICATION,
      historySyncNotification: { syncType, initialHistBootstrapInlinePayload: deflateSync(history) },
    },
  };
  const attrs = { from: world.account.jid, id: newMessageId(), t: nowSeconds(), type: 'text', category: 'peer' };
  const plaintext = el('plaintext', {}, proto.Message.encode(message).finish());
  postMail(world, el('message', { ...attrs, notify: world.account.name }, [plaintext]));
}
