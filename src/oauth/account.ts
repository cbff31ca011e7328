// What of the owner's services has to do with OAuth.
import type { OAuth } from './config.js';

export interface Account {
  /** Of the service. */
  name: string;
  url: URL;
  mcp: boolean;
  oauth: OAuth;
  /** The value of the variable that `clientSecret` names. */
  secret: string | null;
}
