// What WhatsApp messages say that are no plain text, as a line for a reader. Pure.
import { proto } from '@whiskeysockets/baileys';

type Content = proto.IMessage;

const MAX_WRAPPERS = 10;

const parts = (content: Content) => Object.values(content).filter((part) => typeof part === 'object' && part !== null);

/** The message, and what is within disappearing messages, view-once and all other wrappings: fields with a `message` of their own. */
function layers(content: Content | null | undefined): Content[] {
  const found: Content[] = [];
  for (let layer = content; layer && found.length < MAX_WRAPPERS; ) {
    found.push(layer);
    const within = parts(layer).map((part) => ('message' in part ? part.message : undefined));
    layer = within.find((inner) => typeof inner === 'object' && inner !== null);
  }
  return found;
}

export const unwrapped = (content: Content | null | undefined): Content | undefined => layers(content).at(-1);

/** The part of a message that says what it answers and whom it mentions. */
export const contextOf = (content: Content): proto.IContextInfo | undefined =>
  parts(content).flatMap((part) => ('contextInfo' in part && part.contextInfo) || [])[0];

/** Passed on, by people or by the program: from a chat, a channel, a business or an assistant. */
export function isForwarded(content: Content | null | undefined): boolean {
  const all = layers(content);
  const context = contextOf(all.at(-1) ?? {});
  const { forwardedNewsletterMessageInfo, forwardedAiBotMessageInfo, businessMessageForwardInfo } = context ?? {};
  const from = forwardedNewsletterMessageInfo ?? forwardedAiBotMessageInfo ?? businessMessageForwardInfo;
  if (from || context?.isForwarded || context?.forwardingScore || context?.forwardOrigin) return true;
  return all.some((layer) => layer.botForwardedMessage);
}

/** What programs tell each other, and what only marks another message. */
const UNSPOKEN = new Set(
  `messageContextInfo protocolMessage senderKeyDistributionMessage fastRatchetKeySenderKeyDistributionMessage pollUpdateMessage
   keepInChatMessage pinInChatMessage encReactionMessage encCommentMessage encEventResponseMessage secretEncryptedMessage
   stickerSyncRmrMessage messageHistoryBundle messageHistoryNotice scheduledCallEditMessage statusNotificationMessage
   call chat`.split(/\s+/),
);

/** Nobody says it to anybody. A message without any content known here is of a new kind: somebody said it. */
export function isUnspoken(content: Content): boolean {
  const kinds = Object.entries(content).flatMap(([kind, part]) => (part ? kind : []));
  return kinds.some((kind) => kind !== 'messageContextInfo') && kinds.every((kind) => UNSPOKEN.has(kind));
}

const pollOf = (content: Content) =>
  content.pollCreationMessage ??
  content.pollCreationMessageV2 ??
  content.pollCreationMessageV3 ??
  content.pollCreationMessageV5;

const { MEDIA_ALBUM } = proto.MessageAssociation.AssociationType;

/** How many pictures and videos the first message of an album says will follow. */
const sizeOf = ({ albumMessage: album }: Content): number =>
  (album?.expectedImageCount ?? 0) + (album?.expectedVideoCount ?? 0);

/** The album that a message with this id announces, or that it says it belongs to. */
export function albumOf(sent: Content | null | undefined, content: Content, id: string) {
  if (content.albumMessage) return { id, size: sizeOf(content) };
  const { messageAssociation: part } = sent?.messageContextInfo ?? content.messageContextInfo ?? {};
  const parent = part?.associationType === MEDIA_ALBUM ? part.parentMessageKey?.id : undefined;
  return parent ? { id: parent } : undefined;
}

const choices = (all: (string | null | undefined)[] = []): string => {
  const named = all.filter(Boolean);
  return named.length > 0 ? `[${named.join(' / ')}]` : '';
};
const words = (...parts: (string | null | undefined)[]): string => parts.filter(Boolean).join(', ');

/** `[event: Dinner, Friday at eight, …]`; empty when it says nothing to anybody. */
export function lineOf(content: Content): string {
  return cardLine(content) || answerLine(content) || offerLine(content) || moneyLine(content);
}

function cardLine({ locationMessage, liveLocationMessage, eventMessage: event, ...content }: Content): string {
  const place = locationMessage ?? liveLocationMessage;
  if (place) {
    const called = words(
      locationMessage?.name,
      locationMessage?.address,
      locationMessage?.comment,
      liveLocationMessage?.caption,
    );
    const { degreesLatitude: north = '?', degreesLongitude: east = '?' } = place;
    return `[location: ${north}, ${east}${called && ` ${called}`}]`;
  }
  if (event) {
    const startsAt = Number(event.startTime ?? 0) * 1_000;
    const at = startsAt > 0 && startsAt < MAX_TIME ? new Date(startsAt).toISOString() : '';
    const called = words(event.name, at, event.location?.name, event.description, event.joinLink);
    return `[event: ${called}${event.isCanceled ? ', cancelled' : ''}]`;
  }
  const poll = pollOf(content);
  if (poll) return `[poll: ${poll.name} — ${(poll.options ?? []).map((option) => option.optionName).join(' / ')}]`;
  const { groupInviteMessage: invitation, scheduledCallCreationMessage: call, stickerPackMessage: pack } = content;
  if (invitation) return `[invitation to the group ${words(invitation.groupName, invitation.caption)}]`;
  if (call) return `[call planned: ${call.title ?? ''}]`;
  if (content.albumMessage) return `[album: ${sizeOf(content) || 'some'} pictures or videos]`;
  if (pack) return `[sticker pack: ${pack.name ?? ''}]`;
  const result = content.pollResultSnapshotMessage ?? content.pollResultSnapshotMessageV3;
  const votes = result?.pollVotes?.map((vote) => `${vote.optionName} ${vote.optionVoteCount ?? 0}`) ?? [];
  if (result) return `[poll result: ${result.name} — ${votes.join(' / ')}]`;
  return content.stickerMessage ? '[sticker]' : '';
}
/** Later than that is no date. */
const MAX_TIME = 8.64e15;

/** What somebody chose of what was offered: their words. */
function answerLine(content: Content): string {
  const { listResponseMessage, buttonsResponseMessage, templateButtonReplyMessage, interactiveResponseMessage } =
    content;
  const chosen = [
    listResponseMessage?.title ?? listResponseMessage?.description,
    buttonsResponseMessage?.selectedDisplayText,
    templateButtonReplyMessage?.selectedDisplayText,
    interactiveResponseMessage?.body?.text,
    content.questionResponseMessage?.text,
  ];
  return chosen.find(Boolean) ?? '';
}

function offerLine({ productMessage, orderMessage, ...content }: Content): string {
  if (productMessage) {
    const { title, description, url } = productMessage.product ?? {};
    return `[product: ${words(title, description, url, productMessage.body)}]`;
  }
  if (orderMessage) return `[order: ${words(orderMessage.orderTitle, orderMessage.message)}]`;
  const offered = content.templateMessage ?? content.highlyStructuredMessage?.hydratedHsm;
  const template = offered?.hydratedTemplate ?? offered?.hydratedFourRowTemplate;
  const { listMessage, buttonsMessage, interactiveMessage } = content;
  const links = template?.hydratedButtons?.map(({ urlButton, quickReplyButton, callButton: call }) =>
    words(urlButton?.displayText, urlButton?.url, quickReplyButton?.displayText, call?.displayText, call?.phoneNumber),
  );
  const rows = listMessage?.sections?.flatMap((section) => section.rows?.map((row) => row.title) ?? []);
  const labels = buttonsMessage?.buttons?.map((button) => button.buttonText?.displayText);
  return [
    words(template?.hydratedTitleText, template?.hydratedContentText, template?.hydratedFooterText, choices(links)),
    words(listMessage?.title, listMessage?.description, listMessage?.footerText, choices(rows)),
    words(buttonsMessage?.text, buttonsMessage?.contentText, buttonsMessage?.footerText, choices(labels)),
    words(interactiveMessage?.header?.title, interactiveMessage?.body?.text, interactiveMessage?.footer?.text),
  ].join('');
}

function moneyLine({ sendPaymentMessage: sent, requestPaymentMessage: asked }: Content): string {
  const note = sent?.noteMessage ?? asked?.noteMessage;
  const said = note?.extendedTextMessage?.text ?? note?.conversation;
  if (sent) return `[payment: ${words(said)}]`;
  const amount = asked?.amount1000
    ? `${Number(asked.amount1000) / 1_000} ${asked.currencyCodeIso4217 ?? ''}`.trim()
    : '';
  return asked ? `[payment asked for: ${words(amount, said)}]` : '';
}

/** WhatsApp has new kinds of messages before the library knows them. */
const UNKNOWN = '[a message of a kind that I cannot read yet]';
const SAYS = ['text', 'title', 'name', 'newsletterName', 'caption', 'body', 'description', 'note'];

/** A kind that has no line of its own: what it is called, and what it says in fields that are called so. */
export function otherLine(content: Content): string {
  const { placeholderMessage, callLogMesssage: call } = content;
  if (placeholderMessage) return '[a message that only the phone can show]';
  const outcome = proto.Message.CallLogMessage.CallOutcome[call?.callOutcome ?? 0] ?? '';
  if (call) return `[${call.isVideo ? 'video call' : 'call'}: ${outcome.replaceAll('_', ' ').toLowerCase()}]`;
  const spoken = content.richResponseMessage?.submessages?.map((part) => part.messageText).filter(Boolean);
  if (spoken?.length) return spoken.join('\n');
  const [kind = '', part] = Object.entries(content).find(([name, one]) => one && !UNSPOKEN.has(name)) ?? [];
  const fields = new Map<string, unknown>(Object.entries(part ?? {}));
  const said = SAYS.map((field) => fields.get(field)).filter((one) => typeof one === 'string');
  const called = kind.replace(/Mess+age(V\d)?$/, '').replace(/\B[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return kind === '' ? UNKNOWN : `[${[called, words(...said)].filter(Boolean).join(': ')}]`;
}
