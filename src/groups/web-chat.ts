/** The chat of the local page. Whoever writes there is the owner: the page asks for its token. */
export const WEB_CHAT = { channel: 'web', address: 'owner', kind: 'direct', title: 'Web chat' } as const;
