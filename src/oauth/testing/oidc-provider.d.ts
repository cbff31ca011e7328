// The part of `oidc-provider` (shipped without types) that the tests use.
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http';

  export default class Provider {
    constructor(issuer: string, configuration: object);
    callback(): RequestListener;
    AccessToken: {
      find(
        value: string,
      ): Promise<{ isValid: boolean; aud?: string; scope?: string; destroy(): Promise<void> } | undefined>;
    };
    Client: { adapter: { destroy(id: string): Promise<void> } };
  }
}
