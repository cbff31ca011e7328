// What WhatsApp messages say that are no plain text, as a line for a reader. Pure.
import { normalizeMessageContent, proto } from '@whiskeysockets/baileys';

type Content = proto.IMessage;

/** Wrappers that the library does not open by itself. */
const WRAPPERS = [
  'lottieStickerMessage',
  'pollCreationMessageV4',
  'groupMentionedMessage',
  'botForwardedMessage',
  'pollCreationOptionImageMessage',
  'questionMessage',
  'questionReplyMessage',
] as const;
const MAX_WRAPPERS = 5;

/** What is within disappearing messages and other wrappings. */
export function unwrapped(content: Content | null | undefined, left = MAX_WRAPPERS): Content | undefined {
  const inner = normalizeMessageContent(content);
  const wrapper = inner && WRAPPERS.find((name) => inner[name]?.message);
  return wrapper && left > 0 ? unwrapped(inner[wrapper]?.message, left - 1) : inner;
}

export const pollOf = (content: Content) =>
  content.pollCreationMessage ??
  content.pollCreationMessageV2 ??
  content.pollCreationMessageV3 ??
  content.pollCreationMessageV5;

/** The part of a message that says what it answers and whom it mentions. */
export function contextOf(content: Content): proto.IContextInfo | null | undefined {
  const { extendedTextMessage, imageMessage, videoMessage, ptvMessage, documentMessage, audioMessage } = content;
  const { locationMessage, liveLocationMessage, contactMessage, contactsArrayMessage, stickerMessage } = content;
  const { eventMessage, groupInviteMessage, listResponseMessage, buttonsResponseMessage } = content;
  const { templateButtonReplyMessage, interactiveResponseMessage, productMessage, orderMessage } = content;
  const { templateMessage, listMessage, buttonsMessage, interactiveMessage, stickerPackMessage } = content;
  const files = [imageMessage, videoMessage, ptvMessage, documentMessage, audioMessage, stickerMessage];
  const cards = [locationMessage, liveLocationMessage, contactMessage, contactsArrayMessage, eventMessage];
  const answers = [listResponseMessage, buttonsResponseMessage, templateButtonReplyMessage, interactiveResponseMessage];
  const offers = [productMessage, orderMessage, templateMessage, listMessage, buttonsMessage, interactiveMessage];
  const rest = [groupInviteMessage, stickerPackMessage, pollOf(content), content.albumMessage];
  const parts = [extendedTextMessage, ...files, ...cards, ...answers, ...offers, ...rest];
  return parts.find((part) => part?.contextInfo)?.contextInfo;
}

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

const words = (...parts: (string | null | undefined)[]): string => parts.filter(Boolean).join(', ');

/** `[event: Dinner, Friday at eight, …]`; empty when it says nothing to anybody. */
export function lineOf(content: Content): string {
  return cardLine(content) || answerLine(content) || offerLine(content);
}

function cardLine({ locationMessage, liveLocationMessage, eventMessage: event, ...content }: Content): string {
  const place = locationMessage ?? liveLocationMessage;
  if (place) {
    const called = words(locationMessage?.name, locationMessage?.address, liveLocationMessage?.caption);
    return `[location: ${place.degreesLatitude}, ${place.degreesLongitude}${called && ` ${called}`}]`;
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

function offerLine({ productMessage, orderMessage, templateMessage, ...content }: Content): string {
  if (productMessage) {
    const { title, description, url } = productMessage.product ?? {};
    return `[product: ${words(title, description, url, productMessage.body)}]`;
  }
  if (orderMessage) return `[order: ${words(orderMessage.orderTitle, orderMessage.message)}]`;
  const template = templateMessage?.hydratedTemplate ?? templateMessage?.hydratedFourRowTemplate;
  const { listMessage, buttonsMessage, interactiveMessage } = content;
  return [
    words(template?.hydratedTitleText, template?.hydratedContentText, template?.hydratedFooterText),
    words(listMessage?.title, listMessage?.description, listMessage?.footerText),
    words(buttonsMessage?.text, buttonsMessage?.contentText, buttonsMessage?.footerText),
    words(interactiveMessage?.header?.title, interactiveMessage?.body?.text, interactiveMessage?.footer?.text),
  ].join('');
}
