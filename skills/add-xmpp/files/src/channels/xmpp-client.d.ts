// The part of xmpp.js that the XMPP channel uses; the package has no types of its own (https://github.com/xmppjs/xmpp.js/tree/v0.14.0).
declare module '@xmpp/client' {
  export interface Element {
    name: string;
    attrs: Record<string, unknown>;
    is(name: string, xmlns?: string): boolean;
    getChild(name: string, xmlns?: string): Element | undefined;
    getChildren(name: string, xmlns?: string): Element[];
    getChildElements(): Element[];
    /** Null when there is no such child. */
    getChildText(name: string, xmlns?: string): string | null;
    text(): string;
    /** Takes away the children of that name. */
    remove(name: string, xmlns?: string): void;
    toString(): string;
  }

  /** `xmlns` among the attributes is the element's namespace. */
  export function xml(name: string, attributes?: Record<string, string>, ...children: (Element | string)[]): Element;

  export interface Jid {
    resource: string;
    bare(): Jid;
    toString(): string;
  }

  /** Throws for what is no address. */
  export function jid(address: string): Jid;

  export interface Entity {
    socket: unknown;
    reconnect: { stop(): void };
    iqCaller: { request(iq: Element, timeoutMs?: number): Promise<Element> };
    isSecure(): boolean;
    start(): Promise<Jid>;
    stop(): Promise<unknown>;
    send(element: Element): Promise<void>;
    on(event: 'error', listener: (error: unknown) => void): unknown;
    on(event: 'disconnect', listener: () => void): unknown;
    on(event: 'stanza', listener: (stanza: Element) => void): unknown;
    off(event: 'stanza', listener: (stanza: Element) => void): unknown;
    prependListener(event: 'element', listener: (element: Element) => void): unknown;
  }

  export interface ClientOptions {
    service: string;
    domain: string;
    resource: string;
    timeout?: number;
    credentials(
      authenticate: (
        credentials: { username: string; password: string },
        mechanism: string,
        userAgent: Element,
      ) => Promise<void>,
      mechanisms: string[],
      fast: unknown,
      entity: Entity,
    ): Promise<void>;
  }

  export function client(options: ClientOptions): Entity;
}
